#!/usr/bin/env node
/**
 * The entry point of the command. It imports nothing before the version of Node.js is known to be
 * sufficient: an older one would stop at a missing export with a message that helps nobody.
 */
const OLDEST_NODE = [22, 18] as const

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  process.stderr.write(
    `tripwire-storage needs Node.js ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}\n`,
  )
  process.exitCode = 1
} else {
  const { runCommand } = await import('./run-command.ts')
  process.exitCode = await runCommand(process.argv.slice(2))
}

export {}
