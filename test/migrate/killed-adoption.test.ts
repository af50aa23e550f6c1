import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import { beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { migrateUp, migrationStatus } from '../../src/index.ts'
import { waitForHeldUpBuild } from '../pg/index-progress.ts'
import { useTestDatabase } from '../support/test-database.ts'
import {
  GO_EXTRAS,
  GO_TABLES,
  makeDatabase,
  type RememberedRows,
  rememberRows,
} from './databases-from-elsewhere.ts'
import { describeSchema, emptySchema, newestVersion } from './fixtures.ts'

const database = useTestDatabase('empty')
const fresh = useTestDatabase()
const { connectionString } = database
beforeAll(() =>
  fresh.sql(`SELECT ensure_alert_partition('2026-03-05Z'), ensure_alert_partition('2026-04-05Z')`),
)
beforeEach(async () => {
  await emptySchema(database)
  await makeDatabase(database, GO_TABLES)
})

const FIXTURE = fileURLToPath(new URL('migrate.fixture.ts', import.meta.url))
const ADD_ALERT = `
  INSERT INTO alerts
  SELECT gen_random_uuid(), host_id, timestamp, 'FILE', 'r', NULL, 'INFO', received_at
  FROM alerts_y2026m03
  LIMIT 1`

async function killWhen(condition: (child: ChildProcess) => Promise<void>): Promise<void> {
  const child = spawn(process.execPath, [FIXTURE, connectionString], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  try {
    await condition(child)
  } finally {
    child.kill('SIGKILL')
    await exited
  }
}

/** The server notices a dead client when it writes to it; an operator would not wait for that. */
const endSessions = () =>
  database.sql(
    `SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tripwire-storage migrate'`,
  )

async function openTransaction(statement: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: database.directConnectionString })
  await client.connect()
  await client.query('BEGIN')
  await client.query(statement)
  return client
}

async function expectAdopted(rows: RememberedRows): Promise<void> {
  expect(await rows.now()).toEqual(rows.atFirst)
  expect([...(await describeSchema(database))].sort()).toEqual(
    [...(await describeSchema(fresh)), ...GO_EXTRAS].sort(),
  )
  expect(await migrationStatus({ connectionString })).toMatchObject({
    version: await newestVersion(),
    dirty: false,
    unrecorded: null,
  })
}

describe('F44: an adoption that is killed', () => {
  it('while it builds an index: its leftover is replaced by the next', async () => {
    const rows = await rememberRows(database)
    const writer = await openTransaction(ADD_ALERT)
    await killWhen(() => waitForHeldUpBuild(database))
    await endSessions()
    await writer.end()
    expect(await database.sql('SELECT FROM pg_index WHERE NOT indisvalid')).toHaveLength(1)
    expect(await migrationStatus({ connectionString })).toMatchObject({ version: 4, dirty: false })
    await migrateUp({ connectionString })
    await expectAdopted(rows)
  })

  it('while its session goes on building: the next waits for it', async () => {
    const rows = await rememberRows(database)
    const writer = await openTransaction(ADD_ALERT)
    await killWhen(() => waitForHeldUpBuild(database))
    const migrating = migrateUp({ connectionString })
    await expect
      .poll(
        () =>
          database.sql(
            `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tripwire-storage migrate' AND query LIKE '%"isBuilding"%'`,
          ),
        { timeout: 20_000 },
      )
      .toHaveLength(1)
    await writer.end()
    await migrating
    await expectAdopted(rows)
  })

  it('while it waits for the lock of the table', async () => {
    const rows = await rememberRows(database)
    const reader = await openTransaction('SELECT count(*) FROM alerts')
    await killWhen(async () => {
      await expect
        .poll(
          () =>
            database.sql(
              `SELECT FROM pg_locks WHERE relation = 'alerts'::regclass AND mode = 'AccessExclusiveLock' AND NOT granted`,
            ),
          { timeout: 20_000, interval: 20 },
        )
        .toHaveLength(1)
    })
    await endSessions()
    await reader.end()
    expect((await migrateUp({ connectionString })).map(each => each.version)[0]).toBe(5)
    await expectAdopted(rows)
  })

  it('again and again at any moment', async () => {
    const rows = await rememberRows(database)
    let kills = 0
    let isDone = false
    while (!isDone && kills < 40) {
      await killWhen(async child => {
        // A while after its first connection, later each time: what it came to by then is seen below.
        const ended = once(child, 'exit').then(() => true)
        const isConnected = expect
          .poll(
            () =>
              database.sql(
                // An idle one may be of the last run, kept by a pooler.
                `SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tripwire-storage migrate' AND state <> 'idle'`,
              ),
            { timeout: 20_000, interval: 5 },
          )
          .not.toHaveLength(0)
          .then(() => setTimeout(Math.random() * 20 * ++kills, false))
        // One that has little to do ends before it is seen.
        isConnected.catch(() => undefined)
        isDone = await Promise.race([ended, isConnected])
      })
      const { dirty } = await migrationStatus({ connectionString })
      expect(dirty).toBe(false)
    }
    await migrateUp({ connectionString })
    await expectAdopted(rows)
  }, 120_000)
})

describe('F44: two adoptions at once', () => {
  it('record and apply each migration once', async () => {
    const rows = await rememberRows(database)
    const answers = await Promise.all([migrateUp({ connectionString }), migrateUp({ connectionString })])
    const versions = answers.flat().map(each => each.version)
    expect(versions.sort((a, b) => a - b)).toEqual(
      Array.from({ length: await newestVersion() }, (_, index) => index + 1),
    )
    await expectAdopted(rows)
  })
})
