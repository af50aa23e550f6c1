/** SQL: the link hash that stands in a row of `audit_entries`. docs/audit-chain.md, "The link hash" and "Version 0". */
export const STORED_LINK_HASH = `
        CASE
          WHEN hash_version = 0
            THEN encode(sha256(convert_to('tripwire-storage/audit-entry/v0' || chr(10) || event_hash, 'UTF8')), 'hex')
          ELSE coalesce(row_hash, event_hash)
        END::text`
