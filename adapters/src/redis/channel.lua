-- What all scripts of a channel share. KEYS: its hash, its checkpoint.
-- Strangers may have written there: an owner that is no incarnation is nobody, an epoch that is no number is 0.
local function text(name, most)
    if redis.call('HSTRLEN', KEYS[1], name) > most then
        return ''
    end
    return redis.call('HGET', KEYS[1], name) or ''
end
local function number(name)
    local digits = text(name, 16)
    local read = digits:find('^%d+$') and tonumber(digits) or 0
    return read <= 4503599627370496 and read or 0
end
local function owner()
    local name = text('owner', 81)
    return name:find('^[%w_.-]+:%x+$') and name or ''
end
local function digits(read)
    return string.format('%.0f', read)
end
local function is_there()
    return redis.call('TYPE', KEYS[1]).ok == 'hash'
end
local function millis()
    local time = redis.call('TIME')
    return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end
-- Whose the channel is where it is not the caller's; nothing where it is his.
local function others(mine, epoch)
    if not is_there() then
        return {'lost'}
    end
    local stored, has = number('epoch'), owner()
    if stored > epoch or (stored == epoch and has ~= '' and has ~= mine) then
        return {'fenced', digits(stored), has}
    elseif stored < epoch or has ~= mine then
        return {'lost'}
    end
end
-- Tells the others how the channel is, and when that was.
local function tell(status)
    redis.call('HSET', KEYS[1], 'status', status, 'told_at', digits(millis()))
end
-- Keeps what a successor needs, when and in which Redis, and that all who claimed it so far are heard of; '' keeps
-- what is there.
local function keep(checkpoint, redis_is)
    if checkpoint ~= '' then
        redis.call('SET', KEYS[2], checkpoint)
        redis.call('HSET', KEYS[1], 'seen_at', digits(millis()), 'seen_by', redis_is, 'claims', '0')
    end
end
