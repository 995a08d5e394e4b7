-- What the nodes know each other by, where they ask each other without Redis.
-- KEYS: where it stands. ARGV: what it is to be where there is none, or what no node has written.
local is_text = redis.call('TYPE', KEYS[1]).ok == 'string'
if not is_text or redis.call('STRLEN', KEYS[1]) ~= #ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[1])
end
return redis.call('GET', KEYS[1])
