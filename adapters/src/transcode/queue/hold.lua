-- Says that a worker is still at work.
-- KEYS: the orders, the further ones, the workers. ARGV: the worker, its lease in milliseconds (0 where it takes no
-- more), the entries that it has.
-- Gives those that are still its own.
local me = ARGV[1]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for stream = 1, 2 do
    redis.pcall('XGROUP', 'CREATE', KEYS[stream], 'workers', '0', 'MKSTREAM')
end
if ARGV[2] ~= '0' then
    redis.call('ZADD', KEYS[3], string.format('%.0f', now + ARGV[2]), me)
end
local held = {}
for at = 3, #ARGV do
    local stream, id = string.match(ARGV[at], '^(%d):(.+)$')
    local orders = KEYS[tonumber(stream)]
    local pending = redis.call('XPENDING', orders, 'workers', id, id, 1)[1]
    if pending and pending[2] == me then
        redis.call('XCLAIM', orders, 'workers', me, 0, id, 'JUSTID')
        held[#held + 1] = ARGV[at]
    end
end
return held
