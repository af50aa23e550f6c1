const LONGEST_NAME = 255
/** C2SP signed-note: no Unicode spaces and no plus. Control characters would break the note that the name stands in. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it refuses
const FORBIDDEN = /[\p{White_Space}+\u0000-\u001f]/u

/** Whether a key may have this name. */
export function isKeyName(name: string): boolean {
  return name.length > 0 && name.length <= LONGEST_NAME && name.isWellFormed() && !FORBIDDEN.test(name)
}

export const KEY_NAME_EXPECTED = `1 to ${LONGEST_NAME} characters without white space and "+", such as example.com/audit`
