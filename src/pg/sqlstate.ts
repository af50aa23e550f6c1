/** The conditions that this library decides by, under their names in appendix A of the PostgreSQL manual. */
export const SQLSTATE = {
  featureNotSupported: '0A000',
  foreignKeyViolation: '23503',
  uniqueViolation: '23505',
  checkViolation: '23514',
  readOnlySqlTransaction: '25006',
  serializationFailure: '40001',
  deadlockDetected: '40P01',
  insufficientPrivilege: '42501',
  undefinedObject: '42704',
  undefinedTable: '42P01',
  duplicateTable: '42P07',
  invalidObjectDefinition: '42P17',
  objectNotInPrerequisiteState: '55000',
  lockNotAvailable: '55P03',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  cannotConnectNow: '57P03',
} as const

/** Classes of conditions, by the first two characters. */
export const SQLSTATE_CLASS = {
  connectionException: '08',
  featureNotSupported: '0A',
  dataException: '22',
  integrityConstraintViolation: '23',
  invalidAuthorization: '28',
  invalidCatalogName: '3D',
  syntaxErrorOrAccessRuleViolation: '42',
  programLimitExceeded: '54',
  internalError: 'XX',
} as const
