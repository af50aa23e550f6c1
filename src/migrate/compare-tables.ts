import type { FoundColumn, FoundTables } from './read-tables.ts'
import type { ColumnShape, TableShape } from './table-shapes.ts'

/** One point in which tables that nothing is recorded of are not ours. */
export interface TableDifference {
  /** A table, a column (`alerts.received_at`) or an enum. */
  readonly object: string
  readonly expected: string
  readonly found: string
}

/** A default that a column has to get. It needs no look at the rows, so it is no difference. */
export interface MissingDefault {
  readonly table: string
  readonly column: string
  readonly defaultSql: string
}

const NOTHING = 'nothing'

/** In what the tables keep rows or statements of ours from working. What they have beyond ours may stay. */
export function findDifferences(
  shapes: readonly TableShape[],
  found: FoundTables,
): readonly TableDifference[] {
  return shapes.flatMap(shape => {
    const relation = found.relations.get(shape.table)
    if (relation?.kind !== 'a table') {
      return [{ object: shape.table, expected: 'a table', found: relation?.kind ?? NOTHING }]
    }
    return [
      ...compareEnums(shape, found),
      ...comparePartitioning(shape, relation.partitionedBy),
      ...compareColumns(shape, found.columns.get(shape.table) ?? []),
      ...compareKeys(shape, found.keys.get(shape.table)?.map(key => key.definition) ?? []),
    ]
  })
}

/** The defaults that are missing or others than ours. */
export function findMissingDefaults(
  shapes: readonly TableShape[],
  found: FoundTables,
): readonly MissingDefault[] {
  return shapes.flatMap(({ table, columns }) =>
    Object.entries(columns).flatMap(([column, { defaultSql }]) => {
      const other = found.columns.get(table)?.find(each => each.column === column)
      const isMissing = defaultSql !== null && other?.defaultSql !== defaultSql
      return isMissing ? [{ table, column, defaultSql }] : []
    }),
  )
}

function compareEnums(shape: TableShape, found: FoundTables): readonly TableDifference[] {
  return Object.entries(shape.enums).flatMap(([type, labels]) => {
    const other = found.enumLabels.get(type)?.map(each => each.label)
    return compare(`enum ${type}`, labels.join(', '), other?.join(', ') ?? NOTHING)
  })
}

function comparePartitioning(shape: TableShape, partitionedBy: string | null): readonly TableDifference[] {
  const words = (key: string | null) => (key === null ? 'not partitioned' : `partitioned by ${key}`)
  return compare(shape.table, words(shape.partitionedBy), words(partitionedBy))
}

function compareColumns(shape: TableShape, found: readonly FoundColumn[]): readonly TableDifference[] {
  const ours = Object.entries(shape.columns).flatMap(([column, expected]) => {
    const other = found.find(each => each.column === column)
    return compare(
      `${shape.table}.${column}`,
      describeColumn(expected),
      other ? describeColumn(other) : NOTHING,
    )
  })
  const extra = found
    .filter(({ column }) => !Object.hasOwn(shape.columns, column))
    .filter(({ isNullable, isGenerated, defaultSql }) => !isNullable && !isGenerated && defaultSql === null)
    .map(other => ({
      object: `${shape.table}.${other.column}`,
      expected: 'nullable, or with a default',
      found: describeColumn(other),
    }))
  return [...ours, ...extra]
}

function describeColumn(column: ColumnShape & { readonly isGenerated?: boolean }): string {
  const words = [
    column.type,
    column.isNullable ? '' : 'NOT NULL',
    column.isGenerated ? 'GENERATED ALWAYS' : '',
  ]
  return words.filter(word => word !== '').join(' ')
}

/** ON DELETE and the like may follow ours; NOT VALID may not. */
function compareKeys(shape: TableShape, found: readonly string[]): readonly TableDifference[] {
  return shape.keys
    .filter(
      key =>
        !found.some(other => other === key || (other.startsWith(`${key} `) && !other.endsWith('NOT VALID'))),
    )
    .map(key => ({
      object: shape.table,
      expected: key,
      found: found.length === 0 ? 'no key' : found.join(', '),
    }))
}

function compare(object: string, expected: string, found: string): readonly TableDifference[] {
  return expected === found ? [] : [{ object, expected, found }]
}
