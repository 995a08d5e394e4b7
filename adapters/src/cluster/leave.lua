-- A node leaves: its name is free at once.
-- KEYS: the hash of the node. ARGV: its incarnation.
if redis.call('TYPE', KEYS[1]).ok == 'hash' and redis.call('HGET', KEYS[1], 'incarnation') == ARGV[1] then
    return redis.call('DEL', KEYS[1])
end
return 0
