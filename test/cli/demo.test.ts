import { expect, it } from 'vitest'
import { useTestDatabase } from '../support/test-database.ts'
import { runCli } from './run-cli.ts'

const database = useTestDatabase()

it('the demo ends by itself with 0, and goes on with the same data when it is run again', async () => {
  const first = await runCli(database.connectionString, ['demo'])
  expect(first).toMatchObject({ exitCode: 0, stderr: '' })
  const second = await runCli(database.connectionString, ['demo'])
  expect(second).toMatchObject({ exitCode: 0, stderr: '' })
  expect(second.stdout).toContain('10 entries for web-1, intact')
  const [counts] = await database.sql(`
    SELECT
      (SELECT count(*) FROM hosts)::int AS hosts,
      (SELECT count(*) FROM tripwire_rules)::int AS rules,
      (SELECT count(*) FROM alerts)::int AS alerts,
      (SELECT count(DISTINCT tripwire_type) FROM alerts)::int AS types,
      (SELECT max(sequence_num) FROM audit_entries)::int AS audit`)
  expect(counts).toEqual({ hosts: 5, rules: 4, alerts: 6000, types: 3, audit: 10 })
})
