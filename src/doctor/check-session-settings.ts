import type { QueryRunner } from '../pg/database.ts'
import { quoteIdentifier } from '../pg/identifier.ts'
import type { CheckOutcome, NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'

/** Each of them lets a store open, and its writers fail or write what nobody checked. */
const SETTINGS = ['default_transaction_read_only', 'session_replication_role'] as const

interface HarmfulSetting {
  readonly name: string
  readonly setting: string
  readonly source: string
  readonly role: string
  readonly database: string
}

/** What the connection itself asked for concerns nobody else, nor does what holds for a role that only reads. */
const READ_HARMFUL_SETTINGS = `
  SELECT
    name,
    setting,
    source,
    session_user AS role,
    current_database() AS database
  FROM pg_settings
  WHERE name IN (${SETTINGS.map(name => `'${name}'`).join(', ')})
    AND setting NOT IN ('off', 'origin')
    AND source NOT IN ('client', 'session')
    AND (source NOT IN ('user', 'database user') OR has_table_privilege('alerts', 'INSERT'))
  ORDER BY name COLLATE "C"`

export async function checkSessionSettings({ ask }: CheckContext): Promise<CheckOutcome> {
  const found = await ask(readHarmfulSettings)
  return {
    message:
      found.length === 0
        ? 'none that stop writers or triggers'
        : found.map(({ name, setting }) => `${name} = ${setting}`).join(', '),
    findings: found.map(settingFinding),
  }
}

async function readHarmfulSettings(transaction: QueryRunner): Promise<readonly HarmfulSetting[]> {
  return (await transaction.query<HarmfulSetting>(READ_HARMFUL_SETTINGS)).rows
}

function settingFinding(found: HarmfulSetting): NewFinding {
  const { name, setting, source } = found
  const effect =
    name === 'session_replication_role'
      ? 'no trigger fires, so alerts may name no host and be stored twice'
      : 'every statement that writes is refused, the maintenance as well'
  return {
    subject: name,
    message: `${name} is ${setting} for whoever connects as this role to this database (source: ${source}): ${effect}`,
    mend: mendOf(found),
    details: { setting, source },
  }
}

/** Beginning READ WRITE, because the session that carries it out begins read-only, too. */
function mendOf({ name, source, role, database }: HarmfulSetting): string {
  const [ofRole, ofDatabase] = [`ALTER ROLE ${quoteIdentifier(role)}`, quoteIdentifier(database)]
  switch (source) {
    case 'database':
      return inTransaction(`ALTER DATABASE ${ofDatabase} RESET ${name};`)
    case 'user':
      return inTransaction(`${ofRole} RESET ${name};`)
    case 'database user':
      return inTransaction(`${ofRole} IN DATABASE ${ofDatabase} RESET ${name};`)
    case 'global':
      return inTransaction(`ALTER ROLE ALL RESET ${name};`)
    default: {
      const usual = name === 'session_replication_role' ? 'origin' : 'off'
      return `ALTER SYSTEM SET ${name} = ${usual};\nSELECT pg_reload_conf();`
    }
  }
}

function inTransaction(statement: string): string {
  return ['BEGIN READ WRITE;', statement, 'COMMIT;'].join('\n')
}
