using System.Security.Cryptography;
using AgentPlatform.Console.Sessions;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;
using Microsoft.Net.Http.Headers;

namespace AgentPlatform.Console.Shell;

/// <summary>
/// Stylesheet, script and icon, from the assembly. Their addresses hold the hash of their content, so browsers keep them for a year and
/// a new build is seen at once; an address with another hash is not found.
/// </summary>
public sealed class StaticAssets
{
    private static readonly Dictionary<string, string> Types = new(StringComparer.Ordinal)
    {
        [".css"] = "text/css; charset=utf-8",
        [".js"] = "text/javascript; charset=utf-8",
        [".svg"] = "image/svg+xml",
    };

    private readonly Dictionary<string, Asset> _assets = Load().ToDictionary(asset => asset.Name, StringComparer.Ordinal);

    /// <summary>The address of a file of the folder Assets.</summary>
    public string PathOf(string name) => $"/console/assets/{_assets[name].HashedName}";

    internal void Map(IEndpointRouteBuilder endpoints)
    {
        foreach (var asset in _assets.Values)
        {
            endpoints.MapGet($"/console/assets/{asset.HashedName}", (HttpContext http) => Serve(http, asset)).WithMetadata(new OpenToAll(), new StaticAsset());
        }
    }

    private static FileContentHttpResult Serve(HttpContext http, Asset asset)
    {
        http.Response.Headers.CacheControl = "public, max-age=31536000, immutable";
        return TypedResults.Bytes(asset.Bytes, asset.Type, entityTag: new EntityTagHeaderValue($"\"{asset.Hash}\""));
    }

    private static IEnumerable<Asset> Load()
    {
        var assembly = typeof(StaticAssets).Assembly;
        foreach (var resource in assembly.GetManifestResourceNames().Where(n => n.StartsWith("Assets/", StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(resource)!;
            var bytes = new byte[stream.Length];
            stream.ReadExactly(bytes);
            var name = resource["Assets/".Length..];
            yield return new Asset(name, Types[Path.GetExtension(name)], bytes, Convert.ToHexStringLower(SHA256.HashData(bytes))[..16]);
        }
    }

    private sealed record Asset(string Name, string Type, byte[] Bytes, string Hash)
    {
        internal string HashedName => $"{Path.GetFileNameWithoutExtension(Name)}.{Hash}{Path.GetExtension(Name)}";
    }
}

/// <summary>Marks what is the same for everybody: no session is looked up for it.</summary>
internal sealed record StaticAsset;
