-- Some of the ids of all channels, without those that are longer than an id can be.
-- KEYS: the set of ids. ARGV: where the last call has ended ('0' at first), the most bytes of an id.
-- Answers where the next one begins ('0' at the end), and the ids.
if redis.call('TYPE', KEYS[1]).ok ~= 'set' then
    return {'0', {}}
end
local found = redis.call('SSCAN', KEYS[1], ARGV[1], 'COUNT', 500)
local most, ids = tonumber(ARGV[2]), {}
for _, id in ipairs(found[2]) do
    if #id <= most then
        ids[#ids + 1] = id
    end
end
return {found[1], ids}
