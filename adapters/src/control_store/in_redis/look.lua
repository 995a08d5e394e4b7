-- A channel as it stands there: spec, desired, revision, writer, removed, owner, epoch, status, unfinished, and how many
-- milliseconds ago its owner told the status. A field that is missing is empty, one that is longer than it can be is nothing.
-- KEYS: its hash. ARGV: the most bytes of its spec ('0': it is left out, and its status), of its revision, and of
-- any other field.
-- Answers nothing where there is no channel, and the kind of what stands in its place.
local kind = redis.call('TYPE', KEYS[1]).ok
if kind == 'none' then
    return false
elseif kind ~= 'hash' then
    return kind
end
local most = {spec = tonumber(ARGV[1]), revision = tonumber(ARGV[2])}
most.status = most.spec == 0 and 0 or nil
local fields = {'spec', 'desired', 'revision', 'writer', 'removed', 'owner', 'epoch', 'status', 'unfinished'}
for place, field in ipairs(fields) do
    local bytes = most[field] or tonumber(ARGV[3])
    if field == 'owner' then
        fields[place] = owner()
    elseif field == 'epoch' then
        fields[place] = digits(number('epoch'))
    elseif bytes == 0 then
        fields[place] = ''
    elseif redis.call('HSTRLEN', KEYS[1], field) > bytes then
        fields[place] = false
    else
        fields[place] = redis.call('HGET', KEYS[1], field) or ''
    end
end
local told_at = number('told_at')
table.insert(fields, told_at > 0 and digits(math.max(millis() - told_at, 0)) or '')
return fields
