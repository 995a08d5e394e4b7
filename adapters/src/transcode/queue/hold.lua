-- Says that a worker is still at work.
-- KEYS: the orders, the workers. ARGV: the worker, its lease in milliseconds (0 where it takes no more), the entries
-- that it has.
-- Gives those that are still its own.
local orders, me = KEYS[1], ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.pcall('XGROUP', 'CREATE', orders, 'workers', '0', 'MKSTREAM')
if ARGV[2] ~= '0' then
    redis.call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[2]), me)
end
local held = {}
for at = 3, #ARGV do
    local pending = redis.call('XPENDING', orders, 'workers', ARGV[at], ARGV[at], 1)[1]
    if pending and pending[2] == me then
        redis.call('XCLAIM', orders, 'workers', me, 0, ARGV[at], 'JUSTID')
        held[#held + 1] = ARGV[at]
    end
end
return held
