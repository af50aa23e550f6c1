import type { SeverityLevel, TripwireType } from '../model/alert.ts'

/** What an event of Sysmon means here. */
export interface SysmonEventType {
  readonly name: string
  readonly tripwireType: TripwireType
  readonly severity: SeverityLevel
}

/**
 * The events that become alerts, by Sysmon's event id. Severities weigh the kind of event alone: what happens all day
 * on a healthy host is INFO, what is worth a look is WARN, what is hardly ever benign is CRITICAL. The events are those
 * of https://learn.microsoft.com/sysinternals/downloads/sysmon#events
 */
export const SYSMON_EVENT_TYPES: ReadonlyMap<number, SysmonEventType> = new Map<number, SysmonEventType>([
  // Every program start is logged; the evidence lies in which one.
  [1, { name: 'ProcessCreate', tripwireType: 'PROCESS', severity: 'INFO' }],
  // A changed creation time is how a planted file is made to look old; archivers and browsers do it as well.
  [2, { name: 'FileCreateTime', tripwireType: 'FILE', severity: 'WARN' }],
  // Connections are normal.
  [3, { name: 'NetworkConnect', tripwireType: 'NETWORK', severity: 'INFO' }],
  // Every program ends.
  [5, { name: 'ProcessTerminate', tripwireType: 'PROCESS', severity: 'INFO' }],
  // Running code inside another process is injection, with few honest uses (debuggers, some security products).
  [8, { name: 'CreateRemoteThread', tripwireType: 'PROCESS', severity: 'CRITICAL' }],
  // Opening another process comes before reading or changing it; task managers do it as well.
  [10, { name: 'ProcessAccess', tripwireType: 'PROCESS', severity: 'WARN' }],
  // Files are created all the time.
  [11, { name: 'FileCreate', tripwireType: 'FILE', severity: 'INFO' }],
  // Keys are created and deleted all the time, most of them empty.
  [12, { name: 'RegistryCreateOrDelete', tripwireType: 'FILE', severity: 'INFO' }],
  // Autostart, services and policies live in values, so this is where something makes itself permanent.
  [13, { name: 'RegistryValueSet', tripwireType: 'FILE', severity: 'WARN' }],
  // Renaming is rare, and moves a setting past a watch on its name.
  [14, { name: 'RegistryRename', tripwireType: 'FILE', severity: 'WARN' }],
  // A named stream hides content behind a file; every download gets one too.
  [15, { name: 'FileCreateStreamHash', tripwireType: 'FILE', severity: 'WARN' }],
  // Names are looked up all the time.
  [22, { name: 'DnsQuery', tripwireType: 'NETWORK', severity: 'INFO' }],
  // Files are deleted all the time; this one was kept in Sysmon's archive.
  [23, { name: 'FileDelete', tripwireType: 'FILE', severity: 'INFO' }],
  // A process image that was replaced (hollowing, herpaderping) is an attack.
  [25, { name: 'ProcessTampering', tripwireType: 'PROCESS', severity: 'CRITICAL' }],
  // As 23, without the archive.
  [26, { name: 'FileDeleteDetected', tripwireType: 'FILE', severity: 'INFO' }],
  // A new executable on the disk: an installation, an update, or the first stage of an attack.
  [29, { name: 'FileExecutableDetected', tripwireType: 'FILE', severity: 'WARN' }],
])

/** PROCESS_VM_READ: the right to read the memory of a process. */
const READ_MEMORY = 0x10

/**
 * Whether the event is the one refinement of the table: memory of `lsass.exe`, which holds credentials, was opened for
 * reading. Such a ProcessAccess is CRITICAL.
 */
export function opensCredentials(targetImage: unknown, grantedAccess: unknown): boolean {
  if (typeof targetImage !== 'string' || typeof grantedAccess !== 'string') return false
  return /(^|\\)lsass\.exe$/i.test(targetImage) && (Number(grantedAccess) & READ_MEMORY) !== 0
}
