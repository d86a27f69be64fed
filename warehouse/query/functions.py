"""The functions that a query may call: every one of DuckDB 2.0 that computes from its arguments alone.

An allow list, so that a function which a later DuckDB adds is refused until somebody has read what it does. Left out are
those that read settings, variables, sequences, the catalogue or files, run or plan SQL from text, sleep, write logs, or
belong to the engine.
"""

# Arithmetic, numbers and randomness
_ARITHMETIC = """
abs acos acosh add asin asinh atan atan2 atanh bin binom bit_count bit_length bit_position cbrt ceil
ceiling cos cosh cot degrees divide even exp factorial fdiv floor fmod from_binary from_hex gamma gcd
gen_random_uuid get_bit greatest_common_divisor hash hex isfinite isinf isnan lcm least_common_multiple lgamma ln
log log10 log2 md5 md5_number md5_number_lower md5_number_upper mod multiply nextafter pi pow power radians random
round round_even roundbankers set_bit sha1 sha256 sign signbit sin sinh sqrt subtract tan tanh to_base to_binary
to_hex trunc unbin unhex uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7 xor
"""

# Aggregates and windows
_AGGREGATES = """
any_value approx_count_distinct approx_quantile approx_top_k arbitrary arg_max arg_max_null arg_max_nulls_last
arg_min arg_min_null arg_min_nulls_last argmax argmin array_agg avg bit_and bit_or bit_xor bitstring_agg bool_and
bool_or corr count count_if count_star countif covar_pop covar_samp cume_dist decimal_average dense_rank entropy
favg fill first first_value fsum group_concat histogram histogram_exact kahan_sum kurtosis kurtosis_pop lag last
last_value lead list listagg lttb mad max max_by mean median min min_by mode nth_value ntile percent_rank product
quantile quantile_cont quantile_disc rank rank_dense regr_avgx regr_avgy regr_count regr_intercept regr_r2
regr_slope regr_sxx regr_sxy regr_syy reservoir_quantile row_number sem skewness stddev stddev_pop stddev_samp
string_agg sum sumkahan var_pop var_samp variance
"""

# JSON, lists, structs, maps and variants
_JSON = """
aggregate apply array_aggr array_aggregate array_append array_apply array_cat array_concat array_contains
array_cosine_distance array_cosine_similarity array_cross_product array_distance array_distinct array_dot_product
array_extract array_filter array_grade_up array_has array_has_all array_has_any array_indexof array_inner_product
array_intersect array_length array_negative_dot_product array_negative_inner_product array_pop_back array_pop_front
array_position array_prepend array_push_back array_push_front array_reduce array_resize array_reverse
array_reverse_sort array_select array_slice array_sort array_to_json array_to_string array_transform array_unique
array_value array_where array_zip cardinality contains element_at enum_code enum_first enum_last enum_range
enum_range_boundary filter flatten from_json from_json_strict generate_series generate_subscripts grade_up json
json_array json_array_length json_contains json_deep_merge json_exists json_extract json_extract_path
json_extract_path_text json_extract_string json_group_array json_group_object json_group_structure json_insert
json_keys json_merge_patch json_merge_patch_diff json_normalize json_object json_pretty json_quote json_remove
json_replace json_set json_strip_nulls json_structure json_transform json_transform_strict json_type json_valid
json_value list_aggr list_aggregate list_any_value list_append list_apply list_approx_count_distinct list_avg
list_bit_and list_bit_or list_bit_xor list_bool_and list_bool_or list_cat list_concat list_contains
list_cosine_distance list_cosine_similarity list_count list_distance list_distinct list_dot_product list_element
list_entropy list_extract list_filter list_first list_grade_up list_has list_has_all list_has_any list_histogram
list_indexof list_inner_product list_intersect list_kurtosis list_kurtosis_pop list_last list_mad list_max
list_median list_min list_mode list_negative_dot_product list_negative_inner_product list_pack list_position
list_prepend list_product list_reduce list_resize list_reverse list_reverse_sort list_select list_sem list_skewness
list_slice list_sort list_stddev_pop list_stddev_samp list_string_agg list_sum list_transform list_unique list_value
list_var_pop list_var_samp list_where list_zip map map_concat map_contains map_contains_entry map_contains_value
map_entries map_extract map_extract_value map_from_entries map_keys map_values range reduce regexp_split_to_array
row row_to_json string_to_array struct_concat struct_contains struct_extract struct_extract_at struct_has
struct_indexof struct_insert struct_keys struct_pack struct_position struct_update struct_values to_json
union_extract union_tag union_value unnest variant_array_length variant_contains variant_exists variant_extract
variant_extract_string variant_keys variant_type variant_typeof
"""

# Dates and times
_DATES = """
age ago century current_date date_add date_diff date_part date_sub date_trunc datediff datepart datesub datetrunc
day dayname dayofmonth dayofweek dayofyear days_in_month decade epoch epoch_ms epoch_ns epoch_us era
get_current_time get_current_timestamp hour isodow isoyear julian last_day make_date make_time make_timestamp
make_timestamp_ms make_timestamp_ns make_timestamptz microsecond millennium millisecond minute month monthname
nanosecond now quarter second strftime strptime time_bucket timezone timezone_hour timezone_minute to_centuries
to_days to_decades to_hours to_microseconds to_millennia to_milliseconds to_minutes to_months to_quarters to_seconds
to_timestamp to_weeks to_years today try_strptime week weekday weekofyear year yearweek
"""

# Text and everything else
_TEXT = """
alias ascii assert_true bar base64 char_length character_length chr concat concat_ws damerau_levenshtein decode
editdist3 encode ends_with equi_width_bins error format format_bytes from_base64 geomean geometric_mean greatest
grouping grouping_id hamming if ilike_escape instr jaccard jaro_similarity jaro_winkler_similarity lcase least left
left_grapheme len length length_grapheme levenshtein like_escape lower ltrim mismatches nfc_normalize
not_ilike_escape not_like_escape nullif octet_length ord overlay parse_dirname parse_dirpath parse_filename
parse_path path_join position prefix printf regexp_escape regexp_extract regexp_extract_all regexp_full_match
regexp_matches regexp_replace regexp_split_to_table replace reverse right right_grapheme rtrim split
split_part starts_with str_split str_split_regex string_split string_split_regex strip_accents strlen strpos substr
substring substring_grapheme suffix to_base64 translate trim typeof ucase unicode upper url_decode url_encode
version wavg weighted_avg
"""

# As the parser names them: operators, and the functions behind LIKE, BETWEEN and brackets.
_OPERATORS = (
    "!=",
    "!__postfix",
    "!~~",
    "!~~*",
    "%",
    "&",
    "&&",
    "*",
    "**",
    "+",
    "-",
    "->>",
    "/",
    "//",
    "<",
    "<->",
    "<<",
    "<=",
    "<=>",
    "<@",
    "=",
    ">",
    ">=",
    ">>",
    "@",
    "@>",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "^",
    "^@",
    "|",
    "||",
    "~",
    "~~",
    "~~*",
    "~~~",
)

SCALAR_FUNCTIONS: frozenset[str] = frozenset((_ARITHMETIC + _AGGREGATES + _JSON + _DATES + _TEXT).split()) | frozenset(
    _OPERATORS
)
"""Names, in lower case, that may stand where a value is computed."""

AGGREGATES: frozenset[str] = frozenset(_AGGREGATES.split()) | {
    "geomean", "geometric_mean", "json_group_array", "json_group_object", "json_group_structure", "wavg", "weighted_avg",
}  # fmt: skip
"""Those of them that make one value of many rows, or of none: also the macros that hold one."""

TABLE_FUNCTIONS: frozenset[str] = frozenset({"range", "generate_series", "unnest"})
"""Names that may stand where a table is expected."""
