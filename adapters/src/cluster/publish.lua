-- What a successor needs and what is observed, before viewers see a version.
-- ARGV: the owner's incarnation and epoch, the status, the checkpoint ('' keeps the one that is there), which Redis
-- it is.
-- Answers 'done' and the revision that stands there; 'fenced', the epoch and the owner; or 'lost': Redis has
-- forgotten whose it is.
local refused = others(ARGV[1], tonumber(ARGV[2]))
if refused then
    return refused
end
tell(ARGV[3])
keep(ARGV[4], ARGV[5])
return {'done', digits(number('revision'))}
