import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

/**
 * Runs a script of this repository on a database, in a process of its own.
 * @param script relative to the root of the repository.
 * @returns what it wrote to stdout.
 * @throws when it ends with another code than 0.
 */
export async function runScript(
  connectionString: string,
  script: string,
  args: readonly string[],
): Promise<string> {
  const path = fileURLToPath(new URL(`../../${script}`, import.meta.url))
  const child = spawn(process.execPath, [path, ...args], {
    env: { ...process.env, TRIPWIRE_DATABASE_URL: connectionString },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const closed = once(child, 'close')
  let stdout = ''
  for await (const text of child.stdout.setEncoding('utf8')) stdout += String(text)
  const [code] = await closed
  if (code !== 0) throw new Error(`${script} ended with ${String(code)}: ${stdout}`)
  return stdout
}
