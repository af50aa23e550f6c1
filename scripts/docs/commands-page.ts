import type { Argument, Command, Option } from 'commander'
import type { CommandContext } from '../../src/cli/command-context.ts'
import { EXIT_CODE, EXIT_CODE_HELP } from '../../src/cli/exit-code.ts'
import { buildProgram } from '../../src/cli/program.ts'
import { markdownTable } from './markdown-table.ts'

/** A context for a program that is only looked at. */
const IDLE_CONTEXT: CommandContext = {
  signal: new AbortController().signal,
  stdout: { write: () => undefined },
  stderr: { write: () => undefined },
  stdin: { [Symbol.asyncIterator]: () => ({ next: async () => ({ done: true, value: undefined }) }) },
  env: {},
  exitCode: EXIT_CODE.done,
}

export function commandsPage(): string {
  const program = buildProgram(IDLE_CONTEXT)
  return [...withSubcommands(program).map(describeCommand), `\`\`\`text${EXIT_CODE_HELP}\n\`\`\``].join(
    '\n\n',
  )
}

function withSubcommands(command: Command): readonly Command[] {
  return [command, ...command.commands.flatMap(withSubcommands)]
}

function describeCommand(command: Command): string {
  const path = pathOf(command)
  const parts = [
    `## ${path}`,
    command.description(),
    `\`\`\`text\n${path} ${command.usage()}\n\`\`\``,
    listOf(
      'Command',
      command.commands.map(child => [child.name(), child.description()]),
    ),
    listOf('Argument', command.registeredArguments.map(describeArgument)),
    listOf('Option', command.options.filter(option => !option.hidden).map(describeOption)),
  ]
  return parts.filter(part => part !== '').join('\n\n')
}

function pathOf(command: Command): string {
  return command.parent === null ? command.name() : `${pathOf(command.parent)} ${command.name()}`
}

function listOf(title: string, rows: readonly (readonly [name: string, meaning: string])[]): string {
  if (rows.length === 0) return ''
  return markdownTable(
    [title, 'Meaning'],
    rows.map(([name, meaning]) => [`\`${name}\``, meaning]),
  )
}

function describeArgument(argument: Argument): readonly [string, string] {
  const name = argument.variadic ? `${argument.name()}...` : argument.name()
  const text = [argument.description, ...choices(argument.argChoices), defaultText(argument)]
  return [argument.required ? `<${name}>` : `[${name}]`, text.filter(part => part !== '').join('; ')]
}

function describeOption(option: Option): readonly [string, string] {
  const text = [
    option.description,
    ...choices(option.argChoices),
    option.mandatory ? 'required' : '',
    option.envVar === undefined ? '' : `from ${option.envVar}`,
    defaultText(option),
  ]
  return [option.flags, text.filter(part => part !== '').join('; ')]
}

function choices(values: readonly string[] | undefined): readonly string[] {
  return values === undefined ? [] : [`one of ${values.join(', ')}`]
}

function defaultText({ defaultValue, defaultValueDescription }: Argument | Option): string {
  if (defaultValue === undefined || defaultValue === false) return ''
  return `defaults to ${defaultValueDescription ?? `\`${String(defaultValue)}\``}`
}
