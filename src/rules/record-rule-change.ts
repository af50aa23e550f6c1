import { parseActor, recordAction, recordedTransaction } from '../audit/record-action.ts'
import { parseObject } from '../model/input.ts'
import type { TripwireRule } from '../model/rule.ts'
import type { QueryRunner, TransactionRunner } from '../pg/database.ts'

export interface RuleChange {
  /** `null`: there was none. */
  readonly before: TripwireRule | null
  /** `null`: there is none. */
  readonly after: TripwireRule | null
}

/**
 * Changes a rule. When the options name an actor, the change and what records it are one transaction; a change of nothing is not
 * recorded.
 */
export async function changeRule(
  db: QueryRunner & TransactionRunner,
  options: unknown,
  action: 'create-rule' | 'update-rule' | 'delete-rule',
  change: (runner: QueryRunner, isRecorded: boolean) => Promise<RuleChange>,
): Promise<RuleChange> {
  const given = parseObject('options', options, ['actor'])
  if (given.actor === undefined) return change(db, false)
  const actor = parseActor('options.actor', given.actor)
  return recordedTransaction(db, async transaction => {
    const { before, after } = await change(transaction, true)
    const changed = [before, after].filter(rule => rule !== null)
    // A rule that moves from one host to another is told in the chains of both.
    const hostIds = changed.map(rule => rule.hostId)
    if (changed.length > 0) {
      await recordAction(transaction, hostIds, {
        action,
        actor,
        before: before && { ...before },
        after: after && { ...after },
      })
    }
    return { before, after }
  })
}
