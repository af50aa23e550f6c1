import { historyOf, readLedger } from '../alerts/ledger.ts'
import { Violation } from '../support/violation.ts'
import type { WriterProcess } from '../writer/writer-process.ts'
import { findProblems, type Moment, type Problem, type Sent } from './find-problems.ts'
import { damagedFiles, readContent } from './stored-content.ts'

const MOST_SHOWN = 20

/** Over all rounds since the tables were emptied. */
export interface Totals {
  readonly sent: number
  readonly acknowledged: number
  readonly duplicates: number
  readonly spooled: number
}

/** @throws Violation with the alerts that are not where they must be, and what their ledgers say of them. */
export async function check(
  url: string,
  origin: number,
  writers: readonly WriterProcess[],
  moment: Moment,
): Promise<Totals> {
  const spoolDirs = writers.flatMap(({ spoolDir }) => spoolDir ?? [])
  const damaged = spoolDirs.flatMap(folder => damagedFiles(folder).map(name => `${folder}/${name}`))
  if (damaged.length > 0) throw new Violation('a spool was damaged', damaged)
  const sent = writers.map(
    ({ profile, ledgerPath }): Sent => ({
      writer: profile.writer,
      hasSpool: profile.hasSpool,
      entries: readLedger(ledgerPath),
    }),
  )
  const content = await readContent(url, moment === 'killed' ? spoolDirs : [])
  const problems = findProblems(origin, sent, content, moment)
  if (problems.length > 0) {
    const shown = problems.slice(0, MOST_SHOWN).map(problem => describe(problem, writers))
    throw new Violation(`${problems.length} alerts are not where they must be (${moment})`, shown)
  }
  return totalsOf(sent)
}

function describe({ writer, number, text }: Problem, writers: readonly WriterProcess[]): string {
  const ledgerPath = writers.find(({ profile }) => profile.writer === writer)?.ledgerPath
  const history = ledgerPath === undefined ? [] : historyOf(ledgerPath, number)
  return `writer ${writer} alert ${number} ${text} [${history.join(', ')}]`
}

function totalsOf(writers: readonly Sent[]): Totals {
  const entries = writers.flatMap(writer => [...writer.entries.values()])
  const having = (receipt: string) =>
    entries.filter(({ receipts }) => receipts.some(given => given === receipt)).length
  return {
    sent: entries.length,
    acknowledged: entries.filter(({ receipts }) => receipts.length > 0).length,
    duplicates: having('duplicate'),
    spooled: having('spooled'),
  }
}
