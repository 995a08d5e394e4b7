-- A node as it stands there. A field that is missing, or longer than it can be, is empty.
-- KEYS: its hash. ARGV: the most bytes of a field, then the fields.
-- Answers nothing where there is none.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
    return false
end
local found = {}
for place = 2, #ARGV do
    local name = ARGV[place]
    local short = redis.call('HSTRLEN', KEYS[1], name) <= tonumber(ARGV[1])
    found[place - 1] = short and redis.call('HGET', KEYS[1], name) or ''
end
return found
