import { copyAlerts } from '../peers/copy-in.ts'
import { type BenchAlert, makeAlerts } from '../support/bench-alert.ts'
import type { BenchDatabase } from '../support/bench-database.ts'

const BATCH_SIZE = 5000
/** The months that retention leaves alone: the present one, and the one before, in which inserts look for resends. */
export const KEEP_MONTHS = 1

/** The rows of a month, from which every month is filled. The order is that in which they arrived. */
const KEEP_ROWS = `
  CREATE UNLOGGED TABLE bench_rows AS
  SELECT row_number() OVER (ORDER BY received_at) AS number, alerts.*
  FROM alerts`

/** Evenly over the month, in the order of the time, as alerts arrive. With ids of their own: a month does not repeat another. */
function fillFromRows(table: string): string {
  return `
  INSERT INTO ${table} (
    alert_id, host_id, timestamp, tripwire_type, rule_name, event_detail, severity, received_at
  )
  SELECT
    gen_random_uuid(),
    host_id,
    $1::timestamptz + number * step,
    tripwire_type,
    rule_name,
    event_detail,
    severity,
    $1::timestamptz + number * step
  FROM bench_rows
  CROSS JOIN (
    SELECT ($2::timestamptz - $1::timestamptz) / (count(*) + 1) AS step
    FROM bench_rows
  ) AS spread
  ORDER BY number`
}

export interface Month {
  readonly partition: string
  readonly from: string
  readonly to: string
}

/** Fills months of the same alerts, and the present one with as many. */
export class MonthRows {
  readonly rows: number
  readonly #database: BenchDatabase

  private constructor(database: BenchDatabase, rows: number) {
    this.#database = database
    this.rows = rows
  }

  static async create(database: BenchDatabase, rows: number): Promise<MonthRows> {
    await database.clean()
    for (let made = 0; made < rows; made += BATCH_SIZE) {
      await copyAlerts(database.client, makeBatch(database, Math.min(BATCH_SIZE, rows - made)))
    }
    await database.client.query(KEEP_ROWS)
    return new MonthRows(database, rows)
  }

  /** The table as every measurement finds it: so many old months, the present one filled as well, nothing left to write out. */
  async prepare(months: number): Promise<readonly Month[]> {
    const { client } = this.#database
    await client.query('TRUNCATE alerts')
    const old = listOldMonths(months)
    for (const { partition, from, to } of old) {
      await client.query('SELECT ensure_alert_partition($1)', [from])
      await client.query(fillFromRows(partition), [from, to])
    }
    await this.#fillPresent()
    await this.settle()
    return old
  }

  /** The same months, made as an operator makes them who has only PostgreSQL's manual. */
  async prepareByHand(months: number): Promise<readonly Month[]> {
    const { client } = this.#database
    await client.query('TRUNCATE alerts')
    const old = listOldMonths(months)
    for (const { partition, from, to } of old) {
      await client.query(`DROP TABLE IF EXISTS ${partition}`)
      await client.query(
        `CREATE TABLE ${partition} PARTITION OF alerts FOR VALUES FROM ('${from}') TO ('${to}')`,
      )
      await client.query(fillFromRows(partition), [from, to])
    }
    await this.#fillPresent()
    await this.settle()
    return old
  }

  /** Up to this moment, so that the rows are the newest until others come. */
  async #fillPresent(): Promise<void> {
    const { client } = this.#database
    const { rows } = await client.query<{ from: string; to: string }>(`
      SELECT
        (date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::text AS from,
        now()::text AS to`)
    const present = rows[0]
    if (!present) throw new Error('the server did not say what time it is')
    await client.query(fillFromRows('alerts'), [present.from, present.to])
  }

  /** What autovacuum and the checkpointer would do in the middle of a measurement. */
  async settle(): Promise<void> {
    await this.#database.client.query('VACUUM (ANALYZE) alerts')
    await this.#database.checkpoint()
  }
}

function makeBatch(database: BenchDatabase, count: number): readonly BenchAlert[] {
  return makeAlerts(database.hostIds, count)
}

/** So many months before those that are kept, oldest first. */
export function listOldMonths(months: number): readonly Month[] {
  return Array.from({ length: months }, (_, index) => monthBefore(KEEP_MONTHS + months - index))
}

function monthBefore(monthsBefore: number): Month {
  const now = new Date()
  const first = (months: number) => new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - months))
  const from = first(monthsBefore).toISOString()
  return {
    partition: `alerts_y${from.slice(0, 4)}m${from.slice(5, 7)}`,
    from,
    to: first(monthsBefore - 1).toISOString(),
  }
}
