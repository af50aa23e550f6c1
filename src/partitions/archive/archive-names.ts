import { randomUUID } from 'node:crypto'

/** The names of a month's archives. The second archive of a month has the number 2, and so on. */

export interface ArchiveNames {
  /** The compressed lines. */
  readonly file: string
  readonly manifest: string
}

const FILE_ENDING = '.ndjson.gz'
const MANIFEST_ENDING = '.manifest.json'
const UNFINISHED_ENDING = '.tmp'
/** Without leading zeros, so that a number has one name. The first archive has none. */
const NUMBER = /^-([2-9]|[1-9]\d{1,8})$/

export function archiveNames(partition: string, number: number): ArchiveNames {
  const name = number === 1 ? partition : `${partition}-${number}`
  return { file: `${name}${FILE_ENDING}`, manifest: `${name}${MANIFEST_ENDING}` }
}

/** The number of an archive of this month by the name of its manifest; `undefined` for the names of other files. */
export function manifestNumber(partition: string, name: string): number | undefined {
  return numberIn(name, partition, MANIFEST_ENDING)
}

/** Whether it is the name of a data file of this month, and so no path. */
export function isArchiveFile(partition: string, name: string): boolean {
  return numberIn(name, partition, FILE_ENDING) !== undefined
}

function numberIn(name: string, partition: string, ending: string): number | undefined {
  if (!name.startsWith(partition) || !name.endsWith(ending)) return undefined
  const between = name.slice(partition.length, -ending.length)
  if (between === '') return name.length === partition.length + ending.length ? 1 : undefined
  const [, number] = NUMBER.exec(between) ?? []
  return number === undefined ? undefined : Number(number)
}

/** A name for a part of an archive that is not whole yet. Nobody else uses it, and it tells whose it is. */
export function unfinishedName(partition: string, owner: string): string {
  return `.${partition}.${owner}.${randomUUID()}${UNFINISHED_ENDING}`
}

/** Whether it is such a name of this month and this owner. */
export function isUnfinished(partition: string, owner: string, name: string): boolean {
  return isHidden(`.${partition}.${owner}.`, name)
}

const PROBE_START = '.tripwire-storage-probe.'

/** A name for a file that is written to see whether it can be. */
export function probeName(): string {
  return `${PROBE_START}${randomUUID()}${UNFINISHED_ENDING}`
}

export function isProbe(name: string): boolean {
  return isHidden(PROBE_START, name)
}

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

function isHidden(start: string, name: string): boolean {
  return (
    name.startsWith(start) &&
    name.endsWith(UNFINISHED_ENDING) &&
    UUID.test(name.slice(start.length, -UNFINISHED_ENDING.length))
  )
}
