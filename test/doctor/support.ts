/** Diagnoses of a test's database, and the mends that they name, carried out as they stand. */
import { spawnSync } from 'node:child_process'
import { expect } from 'vitest'
import {
  type Check,
  type CheckName,
  type DiagnoseOptions,
  type Diagnosis,
  diagnose,
} from '../../src/index.ts'
import { runCli } from '../cli/run-cli.ts'
import { runAdminSql } from '../support/admin-sql.ts'

interface Connection {
  readonly connectionString: string
}

/** Months ahead, and the maintenance seen to: a database with which nothing is wrong. */
export async function makeHealthy({ connectionString }: Connection): Promise<void> {
  await runAdminSql(connectionString, 'SELECT * FROM ensure_alert_partitions(3)')
  // As the maintenance does in three steps, between which it waits for the transactions of other tests.
  await runAdminSql(
    connectionString,
    `UPDATE alert_count_state
     SET
       settled_through = greatest(marked_through, date_trunc('hour', now(), 'UTC')),
       marked_through = greatest(marked_through, date_trunc('hour', now(), 'UTC'))`,
  )
}

export function examine(
  { connectionString }: Connection,
  options: Partial<DiagnoseOptions> = {},
): Promise<Diagnosis> {
  return diagnose({ connectionString, ...options })
}

export function checkOf({ checks }: Diagnosis, name: CheckName): Check {
  const check = checks.find(each => each.name === name)
  if (!check) throw new Error(`the diagnosis has no check ${name}`)
  return check
}

/** The findings and what could not be checked, as `name: subject`. */
export function problemsOf({ checks }: Diagnosis): readonly string[] {
  return checks.flatMap(({ name, status, message, findings }) =>
    status === 'unchecked'
      ? [`${name}: unchecked: ${message}`]
      : findings.map(({ subject }) => `${name}: ${subject}`),
  )
}

/** Carries out what a finding names: commands of ours, commands of a shell, or SQL. */
export async function carryOut({ connectionString }: Connection, mend: string): Promise<void> {
  if (/^tripwire-storage /.test(mend)) {
    for (const line of mend.split('\n')) {
      const [, ...argv] = shellWords(line)
      const result = await runCli(connectionString, argv)
      expect(result).toMatchObject({ exitCode: 0, stderr: '' })
    }
  } else if (/^mkdir /.test(mend)) {
    expect(spawnSync('sh', ['-c', mend], { encoding: 'utf8' })).toMatchObject({ status: 0, stderr: '' })
  } else {
    await runAdminSql(connectionString, mend)
  }
}

/** As a shell would part them; a comment is left out. */
function shellWords(line: string): readonly string[] {
  const { status, stdout } = spawnSync('sh', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' })
  expect(status).toBe(0)
  return stdout.split('\0').slice(0, -1)
}

/** Finds it, carries out what each finding names, and makes sure that nothing is found any more. */
export async function expectFoundAndMended(
  connection: Connection,
  expected: readonly string[],
  options: Partial<DiagnoseOptions> = {},
): Promise<Diagnosis> {
  const found = await examine(connection, options)
  expect(problemsOf(found)).toEqual(expected)
  for (const mend of new Set(found.checks.flatMap(({ findings }) => findings.map(each => each.mend)))) {
    await carryOut(connection, mend)
  }
  expect(problemsOf(await examine(connection, options))).toEqual([])
  return found
}

/** `alerts_y2026m02` for the month so many after this one. */
export function monthAhead(months: number): { name: string; month: string; from: string; to: string } {
  const now = new Date()
  const first = (later: number) =>
    new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + later)).toISOString()
  const from = first(months)
  const month = from.slice(0, 7)
  return { name: `alerts_y${month.replace('-', 'm')}`, month, from, to: first(months + 1) }
}
