import { Command } from 'commander'
import { HOST_STATUSES } from '../model/host.ts'
import { parseOneOf } from '../model/input.ts'
import type { CommandContext } from './command-context.ts'
import { type DatabaseFlags, databaseCommand, withStore } from './database.ts'
import { writeJsonLines, writeTable } from './output.ts'

interface HostsFlags extends DatabaseFlags {
  readonly json?: boolean
}

interface AddFlags extends HostsFlags {
  readonly id?: string
  readonly ip?: string
  readonly platform?: string
  readonly agentVersion?: string
  readonly status: string
}

export function hostsCommand(context: CommandContext): Command {
  return new Command('hosts')
    .description('list or register hosts')
    .addCommand(listCommand(context), { isDefault: true })
    .addCommand(addCommand(context))
}

function listCommand(context: CommandContext): Command {
  return databaseCommand('list')
    .description('list the registered hosts (the default)')
    .option('--json', 'one JSON object a line')
    .action(async (flags: HostsFlags) => {
      await withStore(context, flags, async store => {
        const hosts = await store.listHosts()
        if (flags.json) return writeJsonLines(context.stdout, hosts)
        writeTable(context.stdout, hosts, [
          { title: 'HOSTNAME', value: host => host.hostname },
          { title: 'STATUS', value: host => host.status },
          { title: 'ADDRESS', value: host => host.ipAddress },
          { title: 'PLATFORM', value: host => host.platform },
          { title: 'AGENT', value: host => host.agentVersion },
          { title: 'LAST SEEN', value: host => host.lastSeen },
          { title: 'ID', value: host => host.hostId },
        ])
      })
    })
}

function addCommand(context: CommandContext): Command {
  return databaseCommand('add')
    .description('register a host, or update the one with this name; prints its id')
    .argument('<hostname>')
    .option('--id <uuid>', 'the id for a new host, where alerts name it already; without it, a random one')
    .option('--ip <address>', 'IPv4 or IPv6 address, or a network')
    .option('--platform <name>')
    .option('--agent-version <version>')
    .option('--status <status>', HOST_STATUSES.join(', '), 'OFFLINE')
    .option('--json', 'one JSON object')
    .action(async (hostname: string, flags: AddFlags) => {
      const host = {
        hostname,
        ...(flags.id === undefined ? {} : { hostId: flags.id }),
        ipAddress: flags.ip ?? null,
        platform: flags.platform ?? null,
        agentVersion: flags.agentVersion ?? null,
        status: parseOneOf('--status', flags.status.toUpperCase(), HOST_STATUSES),
      }
      await withStore(context, flags, async store => {
        const hostId = await store.upsertHost(host)
        if (flags.json) writeJsonLines(context.stdout, [{ hostId }])
        else context.stdout.write(`${hostId}\n`)
      })
    })
}
