/**
 * Loaded with `node --import`: the name of this package means its sources, so that examples run as they are written,
 * without a build.
 */
import { registerHooks } from 'node:module'
import { SOURCE_MODULES } from './source-modules.ts'

registerHooks({
  resolve(specifier, context, nextResolve) {
    const path = SOURCE_MODULES[specifier]
    const target = path === undefined ? specifier : new URL(`../../${path}`, import.meta.url).href
    return nextResolve(target, context)
  },
})
