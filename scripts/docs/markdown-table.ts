/** A table of Markdown, as a formatter would leave it. */
export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = [titles, titles.map(() => '---'), ...rows.map(row => row.map(escapeCell))]
  return lines.map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

function escapeCell(text: string): string {
  return text.replace(/\|/g, '\\|').replace(/\s*\n\s*/g, ' ')
}
