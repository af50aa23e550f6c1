import { describe, expect, it, onTestFinished } from 'vitest'
import { writeArchive } from '../../src/partitions/archive/write-archive.ts'
import { restorePartition } from '../../src/partitions/restore-partition.ts'
import { newAlert, openStore, rejection } from '../store/fixtures.ts'
import { withSettings } from '../support/session-settings.ts'
import { useTestDatabase } from '../support/test-database.ts'
import type { FaultSpec } from '../support/wire-proxy.ts'
import {
  archiveFolder,
  archiveRequest,
  detachedMonth,
  imageOf,
  newHosts,
  nextMonth,
  openDatabase,
  openProxy,
  tableExists,
} from './archive-support.ts'

const database = useTestDatabase()

/** A restore that is held at a statement. */
async function prepare(fault: FaultSpec, through: { readonly connectionString: string } = database) {
  const proxy = await openProxy(through)
  const month = await detachedMonth(database, 300)
  await database.sql(`UPDATE ${month.table} SET event_detail = to_jsonb(repeat('x', 8000))`)
  const before = await imageOf(database, month.table)
  const archive = await writeArchive(openDatabase(database), archiveRequest(month, await archiveFolder()))
  await database.sql(`DROP TABLE ${month.table}`)
  const held = proxy.inject(fault)
  const restoring = restorePartition(openDatabase(proxy), archive.manifestPath)
  const ended = restoring.catch((error: unknown) => error)
  onTestFinished(async () => {
    proxy.thaw()
    await ended
  })
  await held.fired
  return { proxy, month, before, archive, restoring, ended }
}

const freezeAt = (message: 'Query' | 'Parse', text: RegExp, nth = 1): FaultSpec => ({
  when: { from: 'client', message, text, nth },
  action: 'freeze',
})

const WHILE_FILLING = freezeAt('Parse', /INSERT INTO/, 2)
const BEFORE_THE_LAST_STEP = freezeAt('Query', /LOCK TABLE ONLY alerts/)

async function expectNothingLeft(): Promise<void> {
  expect(await database.sql(`SELECT relname FROM pg_class WHERE relname LIKE 'restoring%'`)).toEqual([])
}

describe.each([
  ['while a month is filled', WHILE_FILLING],
  ['when a month is about to be attached', BEFORE_THE_LAST_STEP],
])('%s from its archive', (_, fault) => {
  it('an alert of that month is stored at once, and the restore gives way', async () => {
    const { proxy, month, archive, ended } = await prepare(fault)
    await using store = await openStore(database)
    const [hostId = ''] = await newHosts(database, 1)
    const startedAt = performance.now()
    const [receipt] = await store.insertAlerts([newAlert(hostId, { receivedAt: month.from })])
    expect(receipt?.outcome).toBe('stored')
    expect(performance.now() - startedAt).toBeLessThan(900)
    proxy.thaw()
    expect(await ended).toMatchObject({ code: 'MONTH_EXISTS' })
    const rows = await database.sql(`SELECT host_id FROM ${month.table}`)
    expect(rows).toEqual([{ host_id: hostId }])
    await expectNothingLeft()
    expect(await rejection(restorePartition(openDatabase(database), archive.manifestPath))).toMatchObject({
      code: 'MONTH_EXISTS',
    })
  })

  it('another one is detached, and others are made', async () => {
    const other = nextMonth()
    const made = nextMonth()
    await database.sql(`SELECT ensure_alert_partition('${other.from}')`)
    const { proxy, month, before, restoring } = await prepare(fault)
    await database.sql(`ALTER TABLE alerts DETACH PARTITION ${other.table} CONCURRENTLY`)
    await database.sql(`SELECT ensure_alert_partition('${made.from}')`)
    proxy.thaw()
    await restoring
    expect(await imageOf(database, month.table)).toEqual(before)
    await expectNothingLeft()
  })

  it('alerts is not locked at all', async () => {
    const { proxy, restoring } = await prepare(fault)
    const locks = await database.sql(
      `SELECT mode FROM pg_locks WHERE relation = 'alerts'::regclass AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`,
    )
    expect(locks).toEqual([])
    proxy.thaw()
    await restoring
  })
})

describe('a restored month', () => {
  it('belongs to the owner of alerts, whoever restores it', async () => {
    const role = `owner_${database.name}`
    onTestFinished(async () => {
      await database.sql(
        `ALTER TABLE alerts OWNER TO CURRENT_USER; DROP OWNED BY ${role} CASCADE; DROP ROLE ${role}`,
      )
    })
    const { proxy, month, restoring } = await prepare(BEFORE_THE_LAST_STEP)
    proxy.thaw()
    await restoring
    await database.sql(`ALTER TABLE alerts DETACH PARTITION ${month.table}`)
    await database.sql(`CREATE ROLE ${role}; ALTER TABLE alerts OWNER TO ${role}`)
    const archive = await writeArchive(openDatabase(database), archiveRequest(month, await archiveFolder()))
    await database.sql(`DROP TABLE ${month.table}`)
    await restorePartition(openDatabase(database), archive.manifestPath)
    expect(await database.sql(`SELECT tableowner FROM pg_tables WHERE tablename = '${month.table}'`)).toEqual(
      [{ tableowner: role }],
    )
  })

  it('has what an operator added to alerts', async () => {
    const month = await detachedMonth(database, 20)
    const before = await imageOf(database, month.table)
    const archive = await writeArchive(openDatabase(database), archiveRequest(month, await archiveFolder()))
    await database.sql(`DROP TABLE ${month.table}`)
    await database.sql(`
      CREATE INDEX "by rule, USING ""x""" ON ONLY alerts USING hash (rule_name) WITH (fillfactor = 50) WHERE rule_name <> ' USING ';
      ALTER TABLE alerts ADD CONSTRAINT "no ""x""" CHECK (rule_name <> 'x');
      ALTER TABLE alerts ADD CONSTRAINT alerts_key UNIQUE (received_at, alert_id, host_id);
      ALTER TABLE alerts ALTER COLUMN event_detail SET STORAGE EXTERNAL;
      ALTER TABLE alerts ALTER COLUMN rule_name SET DEFAULT 'it''s';
      ALTER TABLE alerts ALTER COLUMN rule_name TYPE text COLLATE "C"`)
    onTestFinished(async () => {
      await database.sql(`
        DROP INDEX "by rule, USING ""x""";
        ALTER TABLE alerts DROP CONSTRAINT "no ""x""", DROP CONSTRAINT alerts_key;
        ALTER TABLE alerts ALTER COLUMN event_detail SET STORAGE EXTENDED, ALTER COLUMN rule_name DROP DEFAULT;
        ALTER TABLE alerts ALTER COLUMN rule_name TYPE text`)
    })
    await restorePartition(openDatabase(database), archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
    const other = nextMonth()
    await database.sql(`SELECT ensure_alert_partition('${other.from}')`)
    expect(await shapeOf(month.table)).toEqual(await shapeOf(other.table))
  })

  it('is one of a role that owns alerts and is no superuser', async () => {
    const month = await detachedMonth(database, 20)
    const before = await imageOf(database, month.table)
    const archive = await writeArchive(openDatabase(database), archiveRequest(month, await archiveFolder()))
    await database.sql(`DROP TABLE ${month.table}`)
    const role = `restorer_${database.name}`
    await database.sql(`
      CREATE ROLE ${role};
      GRANT CREATE ON SCHEMA public TO ${role};
      GRANT SELECT ON hosts TO ${role};
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON restored_alert_partitions TO ${role};
      ALTER TABLE alerts OWNER TO ${role}`)
    onTestFinished(async () => {
      await database.sql(`
        REASSIGN OWNED BY ${role} TO CURRENT_USER;
        DROP OWNED BY ${role} CASCADE;
        DROP ROLE ${role}`)
    })
    await restorePartition(openDatabase(withSettings(database, { role })), archive.manifestPath)
    expect(await imageOf(database, month.table)).toEqual(before)
  })

  it('is not taken for one that was restored when an alert makes it first', async () => {
    const remembered = (table: string) =>
      database.sql(`SELECT FROM restored_alert_partitions WHERE partition_name = '${table}'`)
    const first = await prepare(BEFORE_THE_LAST_STEP)
    first.proxy.thaw()
    await first.restoring
    await database.sql(`DROP TABLE ${first.month.table}`)
    expect(await remembered(first.month.table)).toHaveLength(1)
    const proxy = await openProxy(database)
    const held = proxy.inject(WHILE_FILLING)
    const refused = rejection(restorePartition(openDatabase(proxy), first.archive.manifestPath))
    await held.fired
    await database.sql(`SELECT ensure_alert_partition('${first.month.from}')`)
    proxy.thaw()
    expect(await refused).toMatchObject({ code: 'MONTH_EXISTS' })
    expect(await tableExists(database, first.month.table)).toBe(true)
    expect(await remembered(first.month.table)).toEqual([])
  })
})

/** Columns, constraints and indexes with their names, but for that of the table. */
async function shapeOf(table: string): Promise<unknown> {
  const [shape] = await database.sql(`
    SELECT
      ARRAY(
        SELECT concat_ws(' ', replace(conname, '${table}', 'T'), pg_get_constraintdef(oid))
        FROM pg_constraint
        WHERE conrelid = '${table}'::regclass
        ORDER BY 1
      ) AS constraints,
      ARRAY(
        SELECT replace(indexdef, '${table}', 'T')
        FROM pg_indexes
        WHERE tablename = '${table}'
        ORDER BY 1
      ) AS indexes,
      ARRAY(
        SELECT concat_ws(' ', attname, attstorage, attcollation::regcollation, attnotnull, pg_get_expr(adbin, adrelid))
        FROM pg_attribute
        LEFT JOIN pg_attrdef
          ON adrelid = attrelid
          AND adnum = attnum
        WHERE attrelid = '${table}'::regclass
          AND attnum > 0
        ORDER BY attnum
      ) AS columns`)
  return shape
}
