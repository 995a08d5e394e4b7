-- Has a command done on a key that everybody may write, in place of what is of another kind.
-- KEYS: the key. ARGV: the kind that it is of, the command, and what comes behind the key in it.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind ~= 'none' and kind ~= ARGV[1] then
    redis.call('DEL', KEYS[1])
end
return redis.call(ARGV[2], KEYS[1], unpack(ARGV, 3))
