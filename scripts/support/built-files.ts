import { readdirSync } from 'node:fs'
import { join } from 'node:path'

/** The modules and declarations below a folder. */
export function listBuiltFiles(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.js') || name.endsWith('.d.ts'))
    .map(name => join(folder, name))
    .sort()
}
