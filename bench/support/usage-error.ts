/** Whoever called the command made a mistake; the message says which. */
export class UsageError extends Error {}
