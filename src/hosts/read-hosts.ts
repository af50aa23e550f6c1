import type { Host } from '../model/host.ts'
import { parseUuid } from '../model/input.ts'
import type { QueryRunner } from '../pg/database.ts'
import { HOST_COLUMNS, type HostRow, hostFromRow } from './host-row.ts'

const GET_HOST = `
  SELECT ${HOST_COLUMNS}
  FROM hosts
  WHERE host_id = $1`

const LIST_HOSTS = `
  SELECT ${HOST_COLUMNS}
  FROM hosts
  ORDER BY hostname`

export async function getHost(db: QueryRunner, hostId: string): Promise<Host | null> {
  const { rows } = await db.query<HostRow>(GET_HOST, [parseUuid('hostId', hostId)], { isRepeated: true })
  return rows[0] ? hostFromRow(rows[0]) : null
}

export async function listHosts(db: QueryRunner): Promise<readonly Host[]> {
  const { rows } = await db.query<HostRow>(LIST_HOSTS)
  return rows.map(hostFromRow)
}
