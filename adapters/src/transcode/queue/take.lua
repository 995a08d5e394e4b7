-- Says that a worker is there, and gives it an order: one whose worker is not heard of any more, or else a new one.
-- KEYS: the orders, the workers, the dead. ARGV: the worker, its lease in milliseconds, after how many of them
-- without a word an order is taken from who has it, how often one is tried, the most bytes of one.
-- Gives entry, try, milliseconds since it was put down, and the order; a try beyond the last is for telling its
-- node. Nothing where nothing waits.
local orders, workers, dead = KEYS[1], KEYS[2], KEYS[3]
local me, lapse, tries, most = ARGV[1], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.pcall('XGROUP', 'CREATE', orders, 'workers', '0', 'MKSTREAM')
redis.call('ZADD', workers, string.format('%.0f', now + ARGV[2]), me)
-- What such a one had was taken from it long ago.
local gone = redis.call('ZRANGEBYSCORE', workers, '-inf', string.format('%.0f', now - 60000), 'LIMIT', 0, 10)
for _, worker in ipairs(gone) do
    redis.call('XGROUP', 'DELCONSUMER', orders, 'workers', worker)
    redis.call('ZREM', workers, worker)
end

local function finish(entry)
    redis.call('XACK', orders, 'workers', entry)
    redis.call('XDEL', orders, entry)
end

local function next_one()
    local lapsed = redis.call('XAUTOCLAIM', orders, 'workers', me, lapse, '0-0', 'COUNT', 1)[2][1]
    if lapsed then
        return lapsed
    end
    local new = redis.call('XREADGROUP', 'GROUP', 'workers', me, 'COUNT', 1, 'STREAMS', orders, '>')
    return new and new[1][2][1]
end

for _ = 1, 100 do
    local found = next_one()
    if not found then
        return false
    end
    local entry, fields = found[1], found[2]
    local within = fields[1] == 'order' and fields[3] == 'within' and tonumber(fields[4])
    local waited = math.max(0, now - tonumber(string.match(entry, '^%d+')))
    -- Nobody waits any more for what is late, and what no node has written is nobody's.
    if not within or waited > within or #fields[2] > most then
        finish(entry)
    else
        local try = redis.call('XPENDING', orders, 'workers', entry, entry, 1)[1][4]
        if try > tries then
            redis.call('XADD', dead, 'MAXLEN', '~', 1000, '*', 'order', fields[2], 'tries', tries)
            finish(entry)
        end
        return {entry, try, waited, fields[2]}
    end
end
return false
