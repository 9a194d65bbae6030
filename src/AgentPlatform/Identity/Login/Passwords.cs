using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using AgentPlatform.Kernel;
using Microsoft.Extensions.Options;
using Hasher = BCrypt.Net.BCrypt;

namespace AgentPlatform.Identity.Login;

/// <summary>
/// Passwords as bcrypt hashes. Comparing is dear on purpose, and as dear where there is nothing to compare with; no more are compared at once than there
/// are processors, so that a flood of sign-ins waits for itself and not everything else for it.
/// </summary>
internal sealed class Passwords(IOptions<LoginOptions> options) : IDisposable
{
    /// <summary>What bcrypt reads; the rest of a longer password would not count.</summary>
    private const int MostBytes = 72;

    private readonly SemaphoreSlim _turns = new(Environment.ProcessorCount);
    private readonly Lazy<string> _nobodys = new(() => Hasher.HashPassword(RandomNumberGenerator.GetHexString(32), options.Value.BcryptCost));

    /// <summary>What is wrong with a new password; null when nothing is. Length is what counts: no rules about characters.</summary>
    internal Problem? Check(string? password) =>
        password is null || password.Length < options.Value.PasswordLength ? Problem.Invalid("new_password", $"Must have at least {options.Value.PasswordLength} characters.")
        : !Fits(password) ? Problem.Invalid("new_password", $"Must have at most {MostBytes} bytes in UTF-8.")
        : password.Any(char.IsControl) ? Problem.Invalid("new_password", "Must not have control characters.")
        : null;

    internal async Task<string> HashAsync(string password, CancellationToken ct)
    {
        await _turns.WaitAsync(ct);
        try
        {
            return Hasher.HashPassword(password, options.Value.BcryptCost);
        }
        finally
        {
            _turns.Release();
        }
    }

    /// <summary>False for no hash, too, and as late; a hash that is cheaper than today's is told from none by nobody's watch.</summary>
    internal async Task<bool> MatchesAsync(string password, string? hash, CancellationToken ct)
    {
        await _turns.WaitAsync(ct);
        try
        {
            var fits = Fits(password);
            var matches = Hasher.Verify(fits ? password : "", hash ?? _nobodys.Value) && fits && hash is not null;
            foreach (var cost in matches ? [] : CostsLeft(hash, options.Value.BcryptCost))
            {
                _ = Hasher.HashPassword("", cost);
            }

            return matches;
        }
        finally
        {
            _turns.Release();
        }
    }

    internal bool IsDated(string hash) => Hasher.PasswordNeedsRehash(hash, options.Value.BcryptCost);

    public void Dispose() => _turns.Dispose();

    /// <summary>Pure: the costs of what is still to be computed until a hash took as long as one of <paramref name="cost"/>. Each doubles: with its own they make up for it.</summary>
    internal static IEnumerable<int> CostsLeft(string? hash, int cost) =>
        hash is not null && int.Parse(hash.AsSpan(4, 2), CultureInfo.InvariantCulture) is var paid && paid < cost ? Enumerable.Range(paid, cost - paid) : [];

    private static bool Fits(string password) => Encoding.UTF8.GetByteCount(password) <= MostBytes;
}
