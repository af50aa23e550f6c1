import { createHash } from 'node:crypto'
import { InvalidInputError } from '../../errors.ts'
import { parseInteger, parseObject, parseOneOf, parseUuid } from '../../model/input.ts'
import { parseTimestamp } from '../../model/timestamp.ts'
import { partitionOfMonth } from './archive-month.ts'
import { isArchiveFile } from './archive-names.ts'
import type { Content } from './content-digest.ts'

const FORMAT = 'tripwire-alerts'
const FORMAT_VERSION = 1

/** What stands in an archive. Moments are RFC 3339 in UTC with microseconds, digests SHA-256 in hexadecimal. */
export interface ArchiveManifest extends Content {
  readonly format: typeof FORMAT
  readonly formatVersion: typeof FORMAT_VERSION
  /** The name of the month's partition. */
  readonly partition: string
  readonly from: string
  readonly to: string
  /** The name of the compressed file, beside the manifest. */
  readonly file: string
  readonly fileBytes: number
  readonly fileSha256: string
  /** The number of the migration that the table was archived under. */
  readonly schemaVersion: number
  readonly createdAt: string
  /** Those that the alerts name, by id. */
  readonly hosts: readonly ArchivedHost[]
}

export interface ArchivedHost {
  readonly hostId: string
  /** `null` when the host had been deleted before its alerts were archived. */
  readonly hostname: string | null
}

/** An archive on disk. */
export interface Archive {
  readonly manifestPath: string
  readonly manifest: ArchiveManifest
}

/** Everything that a manifest says beside its format. */
export type ManifestFields = Omit<ArchiveManifest, 'format' | 'formatVersion'>

/** A manifest with its members in the order in which it is written and digested. */
export function makeManifest(fields: ManifestFields): ArchiveManifest {
  return {
    format: FORMAT,
    formatVersion: FORMAT_VERSION,
    partition: fields.partition,
    from: fields.from,
    to: fields.to,
    file: fields.file,
    rows: fields.rows,
    fileBytes: fields.fileBytes,
    fileSha256: fields.fileSha256,
    contentBytes: fields.contentBytes,
    contentSha256: fields.contentSha256,
    schemaVersion: fields.schemaVersion,
    createdAt: fields.createdAt,
    hosts: fields.hosts.map(({ hostId, hostname }) => ({ hostId, hostname })),
  }
}

/** The text of the file. Its last member is SHA-256 over the others as JSON without white space, in this order. */
export function manifestText(manifest: ArchiveManifest): string {
  return `${JSON.stringify({ ...manifest, manifestSha256: manifestDigest(manifest) }, null, 2)}\n`
}

function manifestDigest(manifest: ArchiveManifest): string {
  return createHash('sha256').update(JSON.stringify(manifest)).digest('hex')
}

const MEMBERS = [
  'format',
  'formatVersion',
  'partition',
  'from',
  'to',
  'file',
  'rows',
  'fileBytes',
  'fileSha256',
  'contentBytes',
  'contentSha256',
  'schemaVersion',
  'createdAt',
  'hosts',
  'manifestSha256',
] as const

/**
 * Reads the text of a manifest and checks every member.
 * @throws InvalidInputError naming the member, or `manifest` as a whole.
 */
export function parseManifest(text: string): ArchiveManifest {
  const value = parseJson(text)
  requireKnownFormat(value)
  const given = parseObject('manifest', value, MEMBERS)
  const [from, to] = [parseMoment('from', given.from), parseMoment('to', given.to)]
  const partition = partitionOfMonth(from, to)
  if (partition === undefined)
    throw new InvalidInputError('manifest.to', to, 'the end of the month of `from`')
  const manifest = makeManifest({
    partition: parseOneOf('manifest.partition', given.partition, [partition]),
    from,
    to,
    file: parseFile(partition, given.file),
    rows: parseCount('rows', given.rows),
    fileBytes: parseCount('fileBytes', given.fileBytes),
    fileSha256: parseSha256('fileSha256', given.fileSha256),
    contentBytes: parseCount('contentBytes', given.contentBytes),
    contentSha256: parseSha256('contentSha256', given.contentSha256),
    schemaVersion: parseCount('schemaVersion', given.schemaVersion),
    createdAt: parseMoment('createdAt', given.createdAt),
    hosts: parseHosts(given.hosts),
  })
  if (parseSha256('manifestSha256', given.manifestSha256) !== manifestDigest(manifest)) {
    throw new InvalidInputError('manifest.manifestSha256', given.manifestSha256, manifestDigest(manifest))
  }
  return manifest
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new InvalidInputError('manifest', text, 'a JSON object', { cause })
  }
}

/** Before anything else: another version may have other members. */
function requireKnownFormat(value: unknown): void {
  const given: { readonly format?: unknown; readonly formatVersion?: unknown } =
    typeof value === 'object' && value !== null ? value : {}
  if (given.format !== FORMAT) throw new InvalidInputError('manifest.format', given.format, FORMAT)
  if (given.formatVersion !== FORMAT_VERSION) {
    throw new InvalidInputError('manifest.formatVersion', given.formatVersion, `${FORMAT_VERSION}`, {
      hint: 'a newer version of tripwire-storage may be able to read it',
    })
  }
}

function parseMoment(member: string, value: unknown): string {
  const moment = parseTimestamp(`manifest.${member}`, value)
  if (moment !== value) throw new InvalidInputError(`manifest.${member}`, value, moment)
  return moment
}

function parseFile(partition: string, value: unknown): string {
  if (typeof value === 'string' && isArchiveFile(partition, value)) return value
  throw new InvalidInputError('manifest.file', value, `${partition}.ndjson.gz, or that with a number`)
}

function parseCount(member: string, value: unknown): number {
  return parseInteger(`manifest.${member}`, value, 0, Number.MAX_SAFE_INTEGER)
}

const SHA_256 = /^[0-9a-f]{64}$/

function parseSha256(member: string, value: unknown): string {
  if (typeof value === 'string' && SHA_256.test(value)) return value
  throw new InvalidInputError(`manifest.${member}`, value, '64 hexadecimal digits')
}

function parseHosts(value: unknown): readonly ArchivedHost[] {
  if (!Array.isArray(value)) throw new InvalidInputError('manifest.hosts', value, 'a list of hosts')
  return value.map((host: unknown, index) => {
    const field = `manifest.hosts[${index}]`
    const { hostId, hostname } = parseObject(field, host, ['hostId', 'hostname'])
    if (hostname !== null && typeof hostname !== 'string') {
      throw new InvalidInputError(`${field}.hostname`, hostname, 'text or null')
    }
    return { hostId: parseUuid(`${field}.hostId`, hostId), hostname }
  })
}
