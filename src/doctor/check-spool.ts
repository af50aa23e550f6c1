import { join, resolve } from 'node:path'
import { inspectSpool, type SpoolInspection } from '../spool/inspect-spool.ts'
import { type CheckOutcome, counted, type NewFinding } from './check-outcome.ts'
import type { CheckContext } from './context.ts'
import { quoteForShell } from './maintenance-tasks.ts'

/** What the files of an empty spool may take: its database and its log keep some space. */
const EMPTY_BYTES = 8 * 1024 ** 2

export async function checkSpool({ options }: CheckContext): Promise<CheckOutcome> {
  const { spoolDir } = options
  if (spoolDir === undefined) return { message: 'no spool was named' }
  const folder = resolve(spoolDir)
  const spool = inspectSpool(folder)
  if (!spool) return { message: `there is no spool in ${folder}`, isUnchecked: true }
  const { waiting, reason, fileBytes, isInUse, holderPid, setAside } = spool
  const findings = [...waitingFindings(folder, spool), ...setAsideFindings(folder, setAside)]
  const holder = isInUse ? `process ${holderPid ?? 'unknown'} has it open` : 'no process has it open'
  return {
    message: `${waiting ? describeWaiting(waiting.alerts, waiting.bytes) : `${counted(fileBytes, 'byte')} of files; ${reason}`}; ${holder}`,
    findings,
    details: {
      alerts: waiting?.alerts ?? null,
      bytes: waiting?.bytes ?? null,
      fileBytes,
      isInUse,
      holderPid: isInUse ? (holderPid ?? null) : null,
      setAside,
    },
    isUnchecked: !waiting && findings.length === 0,
  }
}

function describeWaiting(alerts: number, bytes: number): string {
  return `${counted(alerts, 'alert')}, ${counted(bytes, 'byte')}`
}

function waitingFindings(folder: string, spool: SpoolInspection): readonly NewFinding[] {
  const { waiting, fileBytes, isInUse } = spool
  if (waiting?.isDamaged) return [damagedFinding(folder, spool)]
  const isEmpty = waiting ? waiting.alerts === 0 : fileBytes <= EMPTY_BYTES
  if (isEmpty) return []
  const amount = waiting
    ? describeWaiting(waiting.alerts, waiting.bytes)
    : `alerts in ${counted(fileBytes, 'byte')} of files`
  return [
    {
      subject: folder,
      message: isInUse
        ? `${amount} wait to be stored: they were taken while the database was away, and the store that has the spool brings them in; when the number does not fall, its events flushFailed and spoolFailed say why`
        : `${amount} wait to be stored, and nobody brings them in: no store has this spool`,
      mend: isInUse ? restartHint(spool) : openStore(folder),
      details: { alerts: waiting?.alerts ?? null, bytes: waiting?.bytes ?? null, fileBytes, isInUse },
    },
  ]
}

function openStore(folder: string): string {
  return `start the process that opens its store with spoolDir ${quoteForShell(folder)}: Store.open({ connectionString, spoolDir })`
}

function restartHint({ holderPid }: SpoolInspection): string {
  return `wait for process ${holderPid ?? '(unknown)'} to bring them in, or look at what its store's events say`
}

function damagedFinding(
  folder: string,
  { waiting, isInUse, setAside, fileBytes }: SpoolInspection,
): NewFinding {
  return {
    subject: folder,
    message: `a part of the spool is damaged; ${counted(waiting?.alerts ?? 0, 'alert')} in it can be read. The next store that opens it sets the damage aside and brings the others in`,
    mend: openStore(folder),
    details: { alerts: waiting?.alerts ?? null, fileBytes, isInUse, setAside },
  }
}

function setAsideFindings(folder: string, setAside: readonly string[]): readonly NewFinding[] {
  if (setAside.length === 0) return []
  const kept = `${folder}.damaged`
  const files = setAside.map(name => quoteForShell(join(folder, name)))
  return [
    {
      subject: folder,
      message: `the disk damaged the spool at some time: ${counted(setAside.length, 'file')} hold what could not be read, and may hold alerts that are nowhere else`,
      mend: `mkdir -p ${quoteForShell(kept)} && mv ${files.join(' ')} ${quoteForShell(kept)}`,
      details: { setAside },
    },
  ]
}
