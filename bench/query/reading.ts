/** How alerts are read: streamed by the store, or copied out with the rows thrown away. */
export const READINGS = ['stream', 'copy'] as const
export type Reading = (typeof READINGS)[number]
