import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { connectClient } from '../../partitions/fixtures.ts'
import { useTestDatabase } from '../../support/test-database.ts'

const database = useTestDatabase()
const role = `stranger_${randomUUID().slice(0, 8)}`

beforeAll(() => database.sql(`CREATE ROLE ${role}`))
afterAll(() => database.sql(`DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`))

it('functions of the journal call none that another role made, where it may create in the schema', async () => {
  await using client = await connectClient(database.directConnectionString)
  await client.query(`
    GRANT CREATE, USAGE ON SCHEMA public TO ${role};
    SET ROLE ${role};
    CREATE FUNCTION public.concat_ws(TEXT, TEXT, OID, OID) RETURNS TEXT
    LANGUAGE sql
    AS $$ SELECT 'taken over' $$;
    RESET ROLE`)
  const { rows } = await client.query('SELECT alert_journal_identity() AS identity')
  expect(rows).toEqual([{ identity: expect.stringMatching(/^\d+\.\d+\.\d+$/) }])
})

it('says which database the journal is of, by the same three numbers everywhere', async () => {
  expect(
    await database.sql(`
      SELECT identity = system_identifier || '.' || pg_database.oid || '.' || 'alert_journal'::regclass::oid AS same
      FROM alert_journal_identity() AS identity
      CROSS JOIN pg_control_system()
      JOIN pg_database
        ON datname = current_database()`),
  ).toEqual([{ same: true }])
})

it('the journal can be pruned and expired by the owner alone', async () => {
  for (const call of ['prune_alert_journal()', 'expire_alert_tails()']) {
    const failing = database.sql(`SET ROLE ${role}; SELECT ${call}`)
    await expect(failing).rejects.toMatchObject({ code: '42501' })
  }
})

describe('how long the journal is kept', () => {
  it.each(["'0'", "'-1 hour'", 'NULL'])('is not %s', async keep => {
    await expect(database.sql(`SELECT prune_alert_journal(${keep})`)).rejects.toMatchObject({ code: '22023' })
  })

  it.for(['infinity', '-infinity'])('is not %s (from PostgreSQL 17 on)', async (keep, context) => {
    const [server] = await database.sql(`SELECT current_setting('server_version_num')::int AS version`)
    context.skip(Number(server?.['version']) < 170_000, 'this server knows no such intervals')
    await expect(database.sql(`SELECT prune_alert_journal('${keep}')`)).rejects.toMatchObject({
      code: '22023',
    })
  })
})
