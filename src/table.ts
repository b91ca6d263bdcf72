/**
 * Tables of texts, each as one text with a line `key=value` for an entry. A `switch` of as many cases takes 9 bytes of
 * program more for each, an object lies in the heap for ever.
 */

/** The value of `key` in a table, which begins and ends with a line break. */
export function lookUp(table: string, key: string, otherwise: string): string {
    const at = table.indexOf(`\n${key}=`)
    if (at < 0) return otherwise
    const from = at + key.length + 2
    return table.slice(from, table.indexOf("\n", from))
}
