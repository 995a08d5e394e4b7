-- A node leaves: its name is free at once.
-- KEYS: the hash of the node. ARGV: its incarnation.
-- Answers 1, or 0 where somebody else has the name.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'hash' and redis.call('HGET', KEYS[1], 'incarnation') ~= ARGV[1] then
    return 0
end
redis.call('DEL', KEYS[1])
return 1
