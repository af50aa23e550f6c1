/** The public surface of tripwire-storage. Everything else is internal. */
export type { AlertCounts } from './alerts/ingest/alert-counters.ts'
export { AlertsNotStoredError, type UnstoredAlert } from './alerts/ingest/alerts-not-stored.ts'
export type { DeadLetteredAlert } from './alerts/ingest/durable-store.ts'
export type { FlushStats } from './alerts/ingest/flush-statistics.ts'
export type { AlertStream } from './alerts/query/alert-stream.ts'
export { AuditDamagedError } from './audit/checkpoint/audit-damaged-error.ts'
export { verifyAuditEvidence } from './audit/evidence/verify-evidence.ts'
export { type AuditKey, generateAuditKey } from './audit/note/audit-key.ts'
export { diagnose } from './doctor/diagnose.ts'
export type { DiagnoseOptions } from './doctor/diagnose-options.ts'
export {
  CHECKS,
  type Check,
  type CheckName,
  type CheckStatus,
  type Diagnosis,
  type Finding,
} from './doctor/diagnosis.ts'
export {
  AuditNotContinuedError,
  type AuditPlace,
  DatabaseError,
  ERROR_CODES,
  type ErrorCode,
  InvalidInputError,
  isRetryable,
  NotFoundError,
  OverloadedError,
  TripwireStorageError,
} from './errors.ts'
export { type ImportOptions, importAlerts } from './import/import-alerts.ts'
export type { ImportProblem, ImportReport } from './import/import-report.ts'
export type { ImportTarget } from './import/import-target.ts'
export type { TableDifference } from './migrate/compare-tables.ts'
export {
  type AppliedMigration,
  type MigrateOptions,
  type MigrationStatus,
  migrateDown,
  migrateUp,
  migrationStatus,
  planMigrateUp,
} from './migrate/migrate.ts'
export type { UnrecordedTables } from './migrate/unrecorded-tables.ts'
export type { AcceptedAlert } from './model/accepted-alert.ts'
export {
  ALERT_ORDERS,
  type Alert,
  type AlertFilterInput,
  type AlertLookup,
  type AlertOrder,
  type AlertPage,
  type AlertQuery,
  type AlertReceipt,
  type AlertSpanInput,
  type AlertStreamQuery,
  type NewAlert,
  SEVERITY_LEVELS,
  type SeverityLevel,
  TRIPWIRE_TYPES,
  type TripwireType,
} from './model/alert.ts'
export {
  type AlertCountCheck,
  type AlertCountFinding,
  type AlertCountGroup,
  type AlertCountSpan,
  type AlertRollUp,
  type AlertTimelineBucket,
  type AlertTimelineQuery,
  type CheckAlertCountsOptions,
  type HostAlertCount,
  type RuleAlertCount,
  TIMELINE_BUCKETS,
  TIMELINE_GROUPS,
  type TimelineBucket,
  type TimelineGroup,
  type TopAlertsQuery,
} from './model/alert-counts.ts'
export type { AlertTail, AlertTailOptions, TailedAlert } from './model/alert-tail.ts'
export type {
  AuditCheckpoint,
  AuditCheckpointOptions,
  AuditCheckpointProgress,
} from './model/audit-checkpoint.ts'
export {
  type AppendAuditOptions,
  type AuditEntry,
  type AuditQuery,
  GENESIS_HASH,
  type NewAuditEntry,
  type TransactionClient,
} from './model/audit-entry.ts'
export type {
  AuditEvidence,
  AuditEvidenceFinding,
  AuditEvidenceOptions,
  AuditEvidenceVerification,
  AuditPruneOptions,
  AuditPruning,
} from './model/audit-evidence.ts'
export {
  AUDIT_FINDINGS,
  AUDIT_NOT_CHECKED,
  type AuditChecked,
  type AuditCheckpointUsed,
  type AuditFinding,
  type AuditFindingKind,
  type AuditNotChecked,
  type AuditVerdict,
  type AuditVerification,
  type AuditVerificationProgress,
  type VerifyAuditOptions,
} from './model/audit-verification.ts'
export type { CallOptions } from './model/call-options.ts'
export type { DeadLetter, DeadLetterFilter, RedriveReport } from './model/dead-letter.ts'
export { HOST_STATUSES, type Host, type HostInput, type HostStatus } from './model/host.ts'
export type {
  AlertPartition,
  DeduplicatedPartition,
  DetailIndexMonths,
  DetailIndexReport,
  DueMonth,
  EnsuredPartition,
  MaintenanceFailure,
  MaintenanceReport,
  MaintenanceStatus,
  MendReport,
  RetentionOptions,
  RetentionReport,
  RetiredMonth,
} from './model/partition.ts'
export { type JsonValue, RawJson } from './model/raw-json.ts'
export type { NewTripwireRule, RuleChangeOptions, TripwireRule, TripwireRuleUpdate } from './model/rule.ts'
export type { TimestampInput } from './model/timestamp.ts'
export type { RestoredPartition } from './partitions/restore-partition.ts'
export { SENSOR_FORMATS, type SensorFormat } from './sensors/sensor-adapter.ts'
export { Store } from './store.ts'
export type { CloseReport, StoreEvents, StoreStats } from './store-events.ts'
export type { StoreOptions } from './store-options.ts'
