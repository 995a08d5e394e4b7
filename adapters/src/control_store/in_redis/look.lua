-- A channel as it stands there: spec, desired, revision, writer, removed, owner, epoch, status. A field that
-- is missing is empty, one that is longer than it can be is nothing.
-- KEYS: its hash. ARGV: the most bytes of its spec ('0': it is left out), of its revision, and of any other
-- field.
-- Answers nothing where there is no channel, and the kind of what stands in its place.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then
    return false
elseif kind ~= 'hash' then
    return kind
end
local most = {spec = tonumber(ARGV[1]), revision = tonumber(ARGV[2])}
local fields = {'spec', 'desired', 'revision', 'writer', 'removed', 'owner', 'epoch', 'status'}
for number, field in ipairs(fields) do
    local bytes = most[field] or tonumber(ARGV[3])
    if bytes == 0 then
        fields[number] = ''
    elseif redis.call('HSTRLEN', KEYS[1], field) > bytes then
        fields[number] = false
    else
        fields[number] = redis.call('HGET', KEYS[1], field) or ''
    end
end
return fields
