/** Kills, freezes and restarts at random what stores alerts, and counts them: `npm run chaos -- --rounds 20`. */
import { runChaos } from './run.ts'
import { readOptions, USAGE, UsageError } from './support/options.ts'

try {
  const options = readOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(`${USAGE}\n`)
  // A fault that is stuck, which is a violation, must not keep the process alive.
  else process.exit((await runChaos(options)) ? 0 : 1)
} catch (error) {
  if (!(error instanceof UsageError)) throw error
  process.stderr.write(`${error.message}\n\n${USAGE}\n`)
  process.exitCode = 2
}
