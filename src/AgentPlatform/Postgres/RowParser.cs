using System.Data;
using System.Data.Common;
using System.Text.Json;
using System.Text.Json.Nodes;
using AgentPlatform.Kernel;
using Dapper;
using Npgsql;

namespace AgentPlatform.Postgres;

/// <summary>Dapper's row parsers, taught the types that Npgsql hands over differently from how our records name them.</summary>
internal static class RowParser
{
    static RowParser()
    {
        DefaultTypeMap.MatchNamesWithUnderscores = true;
        SqlMapper.AddTypeHandler(new InstantHandler());
        SqlMapper.AddTypeHandler(new JsonElementHandler());
        SqlMapper.AddTypeHandler(new JsonObjectHandler());
        SqlMapper.AddTypeHandler(new AsIsHandler<DateOnly>());
        SqlMapper.AddTypeHandler(new AsIsHandler<TimeOnly>());
        SqlMapper.AddTypeHandler(new AsIsHandler<string[]>());
        SqlMapper.AddTypeHandler(new AsIsHandler<Guid[]>());
        SqlMapper.AddTypeHandler(new AsIsHandler<int[]>());
    }

    /// <summary>Dapper cannot hand out a parser for a lone text or array column; those are read directly.</summary>
    internal static Func<DbDataReader, T> For<T>(NpgsqlDataReader reader) =>
        typeof(T) == typeof(string) || typeof(T).IsArray
            ? row => row.IsDBNull(0) ? default! : row.GetFieldValue<T>(0)
            : reader.GetRowParser<T>();

    private sealed class InstantHandler : SqlMapper.TypeHandler<DateTimeOffset>
    {
        public override DateTimeOffset Parse(object value) => new(DateTime.SpecifyKind((DateTime)value, DateTimeKind.Utc));

        public override void SetValue(IDbDataParameter parameter, DateTimeOffset value) => parameter.Value = value;
    }

    private sealed class JsonElementHandler : SqlMapper.TypeHandler<JsonElement>
    {
        public override JsonElement Parse(object value) => JsonSerializer.Deserialize<JsonElement>((string)value);

        public override void SetValue(IDbDataParameter parameter, JsonElement value) => parameter.Value = Json.Text(value);
    }

    private sealed class JsonObjectHandler : SqlMapper.TypeHandler<JsonObject>
    {
        public override JsonObject? Parse(object value) => JsonNode.Parse((string)value) as JsonObject;

        public override void SetValue(IDbDataParameter parameter, JsonObject? value) => parameter.Value = value?.ToJsonString();
    }

    private sealed class AsIsHandler<T> : SqlMapper.TypeHandler<T>
    {
        public override T? Parse(object value) => (T)value;

        public override void SetValue(IDbDataParameter parameter, T? value) => parameter.Value = value;
    }
}
