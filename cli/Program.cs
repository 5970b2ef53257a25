System.Console.WriteLine("kvfs");
