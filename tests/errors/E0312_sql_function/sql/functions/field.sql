create function field(p struct<n bigint>) returns bigint return p.n
