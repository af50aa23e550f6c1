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
    return this.#prepare(months, async ({ from }) => {
      await this.#database.client.query('SELECT ensure_alert_partition($1)', [from])
    })
  }

  /** The same months, made as an operator makes them who has only PostgreSQL's manual. */
  async prepareByHand(months: number): Promise<readonly Month[]> {
    return this.#prepare(months, async ({ partition, from, to }) => {
      await this.#database.client.query(
        `CREATE TABLE ${partition} PARTITION OF alerts FOR VALUES FROM ('${from}') TO ('${to}')`,
      )
    })
  }

  async #prepare(months: number, make: (month: Month) => Promise<void>): Promise<readonly Month[]> {
    await this.#dropOtherMonths()
    await this.#database.client.query('TRUNCATE alerts')
    const old = listOldMonths(months)
    for (const month of old) {
      await make(month)
      await this.#fill(month.partition, month.from, month.to)
    }
    await this.#fillPresent()
    await this.#settle()
    return old
  }

  /** What came with the schema, or from an earlier measurement. */
  async #dropOtherMonths(): Promise<void> {
    const { client } = this.#database
    const { rows } = await client.query<{ name: string }>(`
      SELECT inhrelid::regclass::text AS name
      FROM pg_inherits
      WHERE inhparent = 'alerts'::regclass
        AND inhrelid <> find_alert_partition(now())`)
    for (const { name } of rows) await client.query(`DROP TABLE ${name}`)
    await client.query('DELETE FROM restored_alert_partitions')
  }

  /** Up to this moment, so that the rows are the newest until others come. */
  async #fillPresent(): Promise<void> {
    const { client } = this.#database
    const { rows } = await client.query<{ partition: string; from: string; to: string }>(`
      SELECT
        find_alert_partition(now())::text AS partition,
        (date_trunc('month', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC')::text AS from,
        now()::text AS to`)
    const present = rows[0]
    if (!present) throw new Error('the server did not say what time it is')
    await this.#fill(present.partition, present.from, present.to)
  }

  /** Without the triggers, which look whether each of these alerts is a resend: that would take most of the time. */
  async #fill(partition: string, from: string, to: string): Promise<void> {
    const { client } = this.#database
    await client.query(`ALTER TABLE ${partition} DISABLE TRIGGER USER`)
    await client.query(fillFromRows(partition), [from, to])
    await client.query(`ALTER TABLE ${partition} ENABLE TRIGGER USER`)
  }

  /** What autovacuum and the checkpointer would do in the middle of a measurement. */
  async #settle(): Promise<void> {
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
