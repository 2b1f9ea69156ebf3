# consumer - a whole consumer in jq: a filter from records to acknowledgements.
#
#     baton run payments --color blue -- jq --unbuffered -c -f consumer.jq
#
# `stderr` passes its input on and shows it on stderr; stdout is for acknowledgements.
if .value == null then .id
elif (.value | length) > 1000 then {id, error: "more than 1000 letters"}
else (stderr | .id)
end
