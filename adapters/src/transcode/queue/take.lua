-- Says that a worker is there, and gives it an order: a further one only where no other waits, and of each kind one
-- whose worker is not heard of any more, or else a new one.
-- KEYS: the orders, the further ones, the workers, the dead. ARGV: the worker, its lease in milliseconds, after how
-- many of them without a word an order is taken from who has it, how often one is tried, the most bytes of one.
-- Gives entry, try, milliseconds since it was put down, and the order; a try beyond the last is for telling its
-- node. Nothing where nothing waits.
local workers, dead = KEYS[3], KEYS[4]
local me, lapse, tries, most = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for stream = 1, 2 do
    redis.pcall('XGROUP', 'CREATE', KEYS[stream], 'workers', '0', 'MKSTREAM')
end
redis.call('ZADD', workers, string.format('%.0f', now + ARGV[2]), me)
-- What such a one had was taken from it long ago.
local gone = redis.call('ZRANGEBYSCORE', workers, '-inf', string.format('%.0f', now - 60000), 'LIMIT', 0, 10)
for _, worker in ipairs(gone) do
    for stream = 1, 2 do
        redis.call('XGROUP', 'DELCONSUMER', KEYS[stream], 'workers', worker)
    end
    redis.call('ZREM', workers, worker)
end

local function finish(stream, id)
    redis.call('XACK', KEYS[stream], 'workers', id)
    redis.call('XDEL', KEYS[stream], id)
end

local function next_of(stream)
    local lapsed = redis.call('XAUTOCLAIM', KEYS[stream], 'workers', me, lapse, '0-0', 'COUNT', 1)[2][1]
    if lapsed then
        return lapsed
    end
    local new = redis.call('XREADGROUP', 'GROUP', 'workers', me, 'COUNT', 1, 'STREAMS', KEYS[stream], '>')
    return new and new[1][2][1]
end

for _ = 1, 100 do
    local stream, found = 1, next_of(1)
    if not found then
        stream, found = 2, next_of(2)
    end
    if not found then
        return false
    end
    local id, fields = found[1], found[2]
    local within = fields[1] == 'order' and fields[3] == 'within' and tonumber(fields[4])
    local waited = math.max(0, now - tonumber(string.match(id, '^%d+')))
    -- Nobody waits any more for what is late, and what no node has written is nobody's.
    if not within or waited > within or #fields[2] > most then
        finish(stream, id)
    else
        local try = redis.call('XPENDING', KEYS[stream], 'workers', id, id, 1)[1][4]
        if try > tries then
            redis.call('XADD', dead, 'MAXLEN', '~', 1000, '*', 'order', fields[2], 'tries', tries)
            finish(stream, id)
        end
        return {stream .. ':' .. id, try, waited, fields[2]}
    end
end
return false
