import * as storeOptions from '../../src/store-options.ts'
import { readProjectFile } from '../support/project.ts'
import { type InterfaceMember, readInterfaceMembers, readNameList } from './interface-members.ts'
import { markdownTable } from './markdown-table.ts'

interface OptionsSource {
  readonly title: string
  readonly path: string
  readonly interfaceName: string
  /** The list of names that the parser accepts, where the source has one. */
  readonly nameList?: string
}

const SOURCES: readonly OptionsSource[] = [
  { title: '`Store.open`', path: 'src/store-options.ts', interfaceName: 'StoreOptions', nameList: 'NAMES' },
  {
    title: '`migrateUp`, `migrateDown`, `migrationStatus`, `planMigrateUp`',
    path: 'src/migrate/migrate.ts',
    interfaceName: 'MigrateOptions',
  },
  {
    title: '`diagnose`',
    path: 'src/doctor/diagnose-options.ts',
    interfaceName: 'DiagnoseOptions',
    nameList: 'NAMES',
  },
  {
    title: '`startEmbeddedPostgres`',
    path: 'src/embedded/options.ts',
    interfaceName: 'EmbeddedPostgresOptions',
    nameList: 'OPTION_NAMES',
  },
]

export function optionsPage(): string {
  return SOURCES.map(({ title, path, interfaceName }) => {
    const rows = readOptions(path, interfaceName).map(member => [
      `\`${member.name}\``,
      `\`${member.type}\``,
      member.optional ? 'no' : 'yes',
      member.meaning,
    ])
    return `## ${title}\n\n${markdownTable(['Option', 'Type', 'Required', 'Meaning'], rows)}`
  }).join('\n\n')
}

/** An option without a comment means what it means for `Store.open`. */
function readOptions(path: string, interfaceName: string): readonly InterfaceMember[] {
  const ofStore = readInterfaceMembers(readProjectFile('src/store-options.ts'), 'StoreOptions')
  return readInterfaceMembers(readProjectFile(path), interfaceName).map(member => ({
    ...member,
    meaning: member.meaning || (ofStore.find(({ name }) => name === member.name)?.meaning ?? ''),
  }))
}

/** What the comments of the options say against what the code does. */
export function findOptionProblems(): readonly string[] {
  return SOURCES.flatMap(source => {
    const text = readProjectFile(source.path)
    const members = readOptions(source.path, source.interfaceName)
    return [
      ...members
        .filter(({ meaning }) => meaning === '')
        .map(({ name }) => `${source.path}: ${name} has no comment`),
      ...findNameProblems(source, text, members),
      ...(source.interfaceName === 'StoreOptions' ? members.flatMap(findDefaultProblem) : []),
    ]
  })
}

function findNameProblems(
  { path, interfaceName, nameList }: OptionsSource,
  text: string,
  members: readonly InterfaceMember[],
): readonly string[] {
  if (nameList === undefined) return []
  const accepted = readNameList(text, nameList)
  const documented = members.map(({ name }) => name)
  return [
    ...accepted
      .filter(name => !documented.includes(name))
      .map(name => `${path}: ${nameList} has ${name}, ${interfaceName} has not`),
    ...documented
      .filter(name => !accepted.includes(name))
      .map(name => `${path}: ${interfaceName} has ${name}, ${nameList} has not`),
  ]
}

const CONSTANTS: ReadonlyMap<string, unknown> = new Map(Object.entries(storeOptions))

function findDefaultProblem({ name, optional, meaning }: InterfaceMember): readonly string[] {
  const constant = `DEFAULT_${name.replace(/[A-Z]/g, letter => `_${letter}`).toUpperCase()}`
  const value = CONSTANTS.get(constant)
  if (!optional) return []
  if (value === undefined) {
    return /Defaults to \d/.test(meaning)
      ? [`src/store-options.ts: the comment of ${name} gives a default, and there is no ${constant}`]
      : []
  }
  const expected = `Defaults to ${typeof value === 'number' ? value.toLocaleString('en-US') : String(value)}`
  const rest = meaning.split(expected)[1]
  if (rest !== undefined && /^(?:[.,]\D|\.?$|\s)/.test(rest)) return []
  return [`src/store-options.ts: the comment of ${name} does not say "${expected}", the value of ${constant}`]
}
