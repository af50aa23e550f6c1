import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { migrateUp } from '../../src/index.ts'
import { HOST_COUNT } from './bench-alert.ts'
import type { BenchServer } from './bench-server.ts'
import { connect } from './connect.ts'

/** The schema of the Go version: migrations 001 to 004. */
export const SEED_SCHEMA_STEPS = 4
const INSUFFICIENT_PRIVILEGE = '42501'

const CREATE_HOSTS = `
  INSERT INTO hosts (hostname)
  SELECT 'bench-' || number
  FROM generate_series(1, $1::integer) AS number
  RETURNING host_id AS "hostId"`

/** Plain SQL instead of our own function, because the schema of the Go version has no such function. */
const CREATE_MONTHS = `
  DO $$
  DECLARE
    v_month TIMESTAMP;
  BEGIN
    -- The next month as well, so that a run over the edge of a month is not disturbed.
    FOR v_month IN
      SELECT DISTINCT date_trunc('month', moment AT TIME ZONE 'UTC')
      FROM unnest(ARRAY[now(), now() + INTERVAL '1 hour']) AS moment
    LOOP
      EXECUTE format(
        'CREATE TABLE IF NOT EXISTS %I PARTITION OF alerts FOR VALUES FROM (%L) TO (%L)',
        to_char(v_month, '"alerts_y"YYYY"m"MM'),
        v_month AT TIME ZONE 'UTC',
        (v_month + INTERVAL '1 month') AT TIME ZONE 'UTC'
      );
    END LOOP;
  END
  $$`

const ENSURE_MONTHS = `SELECT ensure_alert_partition(now()), ensure_alert_partition(now() + INTERVAL '1 hour')`

/** A database of the benchmark's own, with its hosts and the partition of the month. Disposing of it drops it. */
export class BenchDatabase implements AsyncDisposable {
  readonly connectionString: string
  readonly client: pg.Client
  readonly hostIds: readonly string[]
  readonly #server: BenchServer
  readonly #name: string

  /** @param steps how many migrations to apply; all by default. */
  static async create(server: BenchServer, steps?: number): Promise<BenchDatabase> {
    const name = `tripwire_bench_${randomBytes(6).toString('hex')}`
    await runOnce(server.connectionString, `CREATE DATABASE ${name}`)
    try {
      const url = new URL(server.connectionString)
      url.pathname = `/${name}`
      await migrateUp({ connectionString: url.href, steps })
      const client = await connect(url.href)
      await client.query(steps === undefined ? ENSURE_MONTHS : CREATE_MONTHS)
      const { rows } = await client.query<{ hostId: string }>(CREATE_HOSTS, [HOST_COUNT])
      return new BenchDatabase(server, name, {
        connectionString: url.href,
        client,
        hostIds: rows.map(row => row.hostId),
      })
    } catch (error) {
      await dropDatabase(server, name)
      throw error
    }
  }

  private constructor(
    server: BenchServer,
    name: string,
    opened: {
      readonly connectionString: string
      readonly client: pg.Client
      readonly hostIds: readonly string[]
    },
  ) {
    this.#server = server
    this.#name = name
    this.connectionString = opened.connectionString
    this.client = opened.client
    this.hostIds = opened.hostIds
  }

  /** Empties the table, and has written out what earlier measurements left to write. */
  async clean(): Promise<void> {
    await this.client.query('TRUNCATE alerts')
    await this.checkpoint()
  }

  async checkpoint(): Promise<void> {
    try {
      await this.client.query('CHECKPOINT')
    } catch (error) {
      // An ordinary account may not ask for one. The figures are noisier then, but not wrong.
      if (!(error instanceof pg.DatabaseError) || error.code !== INSUFFICIENT_PRIVILEGE) throw error
    }
  }

  /** @throws when the table does not hold exactly what was sent: a fast path that loses rows is none. */
  async requireAlerts(sent: number, variant: string): Promise<void> {
    const { rows } = await this.client.query<{ count: string }>('SELECT count(*) FROM alerts')
    const stored = Number(rows[0]?.count)
    if (stored !== sent)
      throw new Error(`${variant}: ${sent} alerts were sent, but the table holds ${stored}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.end()
    await dropDatabase(this.#server, this.#name)
  }
}

function dropDatabase(server: BenchServer, name: string): Promise<void> {
  return runOnce(server.connectionString, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`)
}

async function runOnce(connectionString: string, sql: string): Promise<void> {
  const client = await connect(connectionString)
  try {
    await client.query(sql)
  } finally {
    await client.end()
  }
}
