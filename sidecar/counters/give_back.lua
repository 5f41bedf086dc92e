-- Takes amounts off counters, never below zero, and once only for each token.
-- KEYS: token, counters. ARGV: lifetime of the token (ms), 'round' or 'given', then (key, amount, caller) of each.
-- 'round': the token is that of a `take` whose answer was lost: what it took is given back, and if it has not come yet,
-- it will take nothing.
local known = redis.call('GET', KEYS[1])
if known == 'undone' then return 0 end
local answers
if ARGV[2] == 'round' then
  answers = {}
  for answer in string.gmatch(known or '', '[^,]+') do answers[#answers + 1] = answer end
end
for entry = 3, #ARGV, 3 do
  local key, caller = KEYS[tonumber(ARGV[entry])], tonumber(ARGV[entry + 2])
  if not answers or answers[caller] == '0' then
    local found = redis.pcall('GET', key)
    local held, amount = type(found) == 'string' and parse(found), parse(ARGV[entry + 1])
    local left = held and (exceeds(held, amount) and combined(held, amount, -1) or not exceeds(held, amount) and ZERO)
    if left then redis.call('SET', key, text(left), 'KEEPTTL') end
  end
end
redis.call('SET', KEYS[1], 'undone', 'PX', ARGV[1])
return 1
